import path from 'node:path';
import { findLicenceFaults } from './licences.ts';
import { readLockFile } from './lock-file.ts';

// Part of `npm run lint`: the licences of all packages of the lock file.

const faults = findLicenceFaults(readLockFile(path.join(import.meta.dirname, '../..')));
for (const fault of faults) process.stdout.write(`licence: ${fault}\n`);
if (faults.length > 0) {
  process.stdout.write('Which licences may be used is in dev/dependencies/licences.ts.\n');
  process.exitCode = 1;
}
