import { readFileSync } from 'node:fs';
import path from 'node:path';
import { startTestPostgres } from './template-databases.ts';

// `node tests/harness/open-kept.ts FOLDER`: starts PostgreSQL on a failed run's data, until Ctrl-C.

const folder = process.argv[2];
if (folder === undefined) {
  process.stderr.write('usage: node tests/harness/open-kept.ts FOLDER\n');
  process.exit(2);
}
const server = await startTestPostgres(path.resolve(folder));
for (const kept of readFileSync(path.join(folder, 'kept.txt'), 'utf8').trim().split('\n')) {
  process.stdout.write(`${server.adminUrl(kept.split(' ')[0])}  ${kept}\n`);
}
const stop = (): void => {
  void server.stop();
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
