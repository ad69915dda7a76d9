import path from 'node:path';
import type { Stack } from './start-stack.ts';

/** With the stand-in, what shows it; with an account at Stripe itself, how its webhooks reach this machine. */
function describeBilling({ stripe, settings, baseUrl }: Stack): string {
  if (stripe !== null) return `npm run demo -- billing  (pays a stand-in for Stripe, ${stripe.ready.url})`;
  const webhooks = `${baseUrl.replace('http://', '')}/api/v1/webhooks/stripe`;
  return (settings['STRIPE_WEBHOOK_SECRETS'] ?? '') === ''
    ? `your account at Stripe. For its webhooks: stripe listen --forward-to ${webhooks}
             It prints a secret (whsec_…): start again with STRIPE_WEBHOOK_SECRETS=whsec_…`
    : `your account at Stripe. Its webhooks come while this runs: stripe listen --forward-to ${webhooks}`;
}

/** How to sign in with a token of the stand-in for Entra ID. */
function describeTokens({ oidc }: Stack): string {
  if (oidc === null) return '';
  return `  tokens     curl -d grant_type=password -d username=ann -d roles=Admin ${oidc.ready.issuer}/token
             its access_token, with the header x-tenant-id: acme, signs ann in
`;
}

/** How to look at what a stack with `--telemetry` collects. */
function describeTelemetry({ settings, baseUrl, keys }: Stack): string {
  if (settings['OTEL_EXPORTER_OTLP_ENDPOINT'] === undefined) return '';
  return `  trace      npm run trace -- ID  (x-ms-request-id of an answer, or a record’s id)
  metrics    curl -H 'x-api-key: ${keys.operator}' ${baseUrl}/api/v1/platform/metrics
`;
}

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
  billing    ${describeBilling(stack)}
${describeTokens(stack)}  traffic    npm run replay -- FILE.jsonl --tenant acme
${describeTelemetry(stack)}  database   psql ${file.postgres.core}
  people     POST ${baseUrl}/api/v1/auth/sessions {"email": …, "password": …}
  all keys   ${stackFile}  (and people’s passwords)

Ctrl-C stops everything; data stays in ${path.dirname(stackFile)}/ (npm start -- --fresh deletes it first).
`;
}
