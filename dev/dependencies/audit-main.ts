import path from 'node:path';
import { auditDependencies } from './audit.ts';

// `npm run audit:dependencies`

/** npm itself tries three times, and a registry may be slow. */
const TIMEOUT_MS = 120_000;

const { exitCode, lines } = await auditDependencies({
  folder: path.join(import.meta.dirname, '../..'),
  allowedFile: path.join(import.meta.dirname, 'allowed-advisories.json'),
  timeoutMs: TIMEOUT_MS,
  now: new Date(),
});
for (const line of lines) process.stdout.write(`${line}\n`);
process.exitCode = exitCode;
