import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readProcessIdentity } from '../../dev/processes/process-identity.ts';

const PREFIX = 'comply-test-';

/** Makes this run's folder for temporary data, and deletes the folders of runs whose process has ended. */
export function makeRunFolder(): string {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(name.startsWith(PREFIX) ? name.slice(PREFIX.length) : NaN);
    if (Number.isInteger(pid) && readProcessIdentity(pid) === undefined) {
      rmSync(path.join(tmpdir(), name), { recursive: true, force: true });
    }
  }
  const folder = path.join(tmpdir(), `${PREFIX}${process.pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o755 });
  return folder;
}
