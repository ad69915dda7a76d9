import path from 'node:path';
import type { Stack } from './start-stack.ts';

/** Commands and addresses to try on a stack that has just started. */
export function describeNextSteps(stack: Stack): string {
  const { baseUrl, keys, file } = stack;
  const relative = path.relative(process.cwd(), stack.folder);
  const stackFile = path.join(relative.startsWith('..') ? stack.folder : relative, 'stack.json');
  return `
Ready: ${baseUrl}

  docs       ${baseUrl}/api/docs
  health     curl ${baseUrl}/api/health/ready
  usage      curl -H 'x-api-key: ${keys.tenants.acme.owner}' ${baseUrl}/api/v1/usage
  a day      npm run demo
  traffic    npm run replay -- FILE.jsonl --tenant acme
  database   psql ${file.postgres.core}
  all keys   ${stackFile}

Ctrl-C stops everything; data stays in ${path.dirname(stackFile)}/ (npm start -- --fresh deletes it first).
`;
}
