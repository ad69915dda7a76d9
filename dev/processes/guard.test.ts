import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { waitForExit } from './managed-process.ts';
import { findTypeScriptNode } from './node-command.ts';
import { readProcessIdentity } from './process-identity.ts';

const DEADLINE_MS = 20_000;

/** Starts a guarded process, which ignores SIGTERM if it is stubborn; prints its pid and waits. */
const PARENT = `
  import { spawnGuarded } from ${JSON.stringify(path.join(import.meta.dirname, 'spawn-guarded.ts'))};
  const script = process.argv[2] === 'stubborn' ? 'process.on("SIGTERM", () => {}); ' : '';
  const child = await spawnGuarded(process.execPath,
    ['-e', script + 'setInterval(() => {}, 1000); process.stdout.write("up")'],
    { stdio: ['ignore', 'pipe', 'ignore'] }, 'SIGTERM');
  child.stdout.once('data', () => process.stdout.write(String(child.pid)));
  setInterval(() => {}, 1000);
`;

test.each(['mild', 'stubborn'])(
  'a %s process ends with the process that started it, even when that one is killed',
  async (kind) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'comply-guard-'));
    const file = path.join(folder, 'parent.ts');
    writeFileSync(file, PARENT);
    const parent = spawn(findTypeScriptNode(), [file, kind], { stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = await new Promise<number>((resolve) => {
      parent.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
    });
    expect(readProcessIdentity(pid)).toBeDefined();
    parent.kill('SIGKILL');
    await waitForExit(parent);
    const deadline = Date.now() + DEADLINE_MS;
    while (readProcessIdentity(pid) !== undefined && Date.now() < deadline) {
      await delay(20);
    }
    expect(readProcessIdentity(pid)).toBeUndefined();
    rmSync(folder, { recursive: true, force: true });
  },
);
