import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { findTypeScriptNode } from '../dev/stack/processes/node-command.ts';
import { waitForExit } from '../dev/stack/processes/managed-process.ts';
import { readCommandLine, readProcessIdentity } from '../dev/stack/processes/process-identity.ts';
import { askForPart } from './harness/ask.ts';

// `npm start` as a process, as a developer runs it, on a folder and ports of this file.

const DEADLINE_MS = 60_000;
const POLL_MS = 50;
const FIRST_PORT = '17071';
const SEVERAL_STARTS_MS = 3 * DEADLINE_MS;

const { dir: appDir } = await askForPart('app');
const folder = mkdtempSync(path.join(tmpdir(), 'comply-stack-'));
const stackFile = path.join(folder, 'stack.json');

const key = z.string().min(1);
const url = z.string().regex(/^postgres:\/\/postgres:/);
const appUrl = z.string().regex(/^postgres:\/\/comply_app:/);
const tenantKeys = z.strictObject({ writer: key, reader: key, owner: key });
const stackSchema = z.strictObject({
  base_url: z.string().regex(/^http:\/\/127\.0\.0\.1:\d+$/),
  tenants: z.strictObject({ acme: tenantKeys, globex: tenantKeys }),
  operator: key,
  postgres: z.strictObject({ core: url, billing: url, analytics: url }),
  postgres_app: z.strictObject({ core: appUrl, billing: appUrl, analytics: appUrl }),
  service_bus: z.string().startsWith('Endpoint=sb://'),
  blob: z.string().startsWith('DefaultEndpointsProtocol=http;'),
  redis: z.string().startsWith('redis://').nullable(),
  pid: z.int(),
});
type StackFile = z.output<typeof stackSchema>;

interface Started {
  child: ChildProcess;
  output: () => string;
}

const running = new Set<ChildProcess>();

function start(...flags: string[]): Started {
  const main = path.join(import.meta.dirname, '..', 'dev', 'start.ts');
  const args = [main, '--folder', folder, '--app', appDir, '--port', FIRST_PORT, ...flags];
  const child = spawn(findTypeScriptNode(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  running.add(child);
  child.once('exit', () => running.delete(child));
  return { child, output: () => output };
}

async function until(what: () => string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      throw new Error(`not within ${DEADLINE_MS / 1000} s: ${what()}`);
    }
    await delay(POLL_MS);
  }
}

function readStackFile(): StackFile | undefined {
  return existsSync(stackFile) ? stackSchema.parse(JSON.parse(readFileSync(stackFile, 'utf8'))) : undefined;
}

/** A stack that was killed leaves its file; the new one's names the new process. */
async function untilReady({ child, output }: Started): Promise<StackFile> {
  let file: StackFile | undefined;
  await until(output, () => {
    file = readStackFile();
    return file?.pid === child.pid || child.exitCode !== null;
  });
  expect(child.exitCode, output()).toBeNull();
  return stackSchema.parse(file);
}

/** Every process below this one, however deep. */
function findDescendants(pid: number): number[] {
  const table = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const children = table.filter(([, parent]) => parent === pid).map(([child]) => child ?? 0);
  return children.flatMap((child) => [child, ...findDescendants(child)]);
}

async function answers(baseUrl: string): Promise<boolean> {
  const response = await fetch(`${baseUrl}/api/health/live`).catch(() => undefined);
  return response?.status === 200;
}

async function untilGone(pids: number[]): Promise<void> {
  const left = (): number[] => pids.filter((pid) => readProcessIdentity(pid) !== undefined);
  await until(
    () =>
      left()
        .map((pid) => readCommandLine(pid))
        .join('\n'),
    () => left().length === 0,
  );
}

afterEach(async ({ task }) => {
  // A test that failed half-way must not leave a stack to the next one.
  if (task.result?.state === 'fail') {
    for (const child of running) {
      child.kill('SIGTERM');
      await waitForExit(child);
    }
  }
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('npm start', { concurrent: false, timeout: SEVERAL_STARTS_MS }, () => {
  let first: StackFile;

  test('brings up a stack that survives a crash of its host, keeps a second one out, and leaves no process when it is killed', async () => {
    const started = start();
    first = await untilReady(started);
    expect(first.pid).toBe(started.child.pid);
    expect(statSync(stackFile).mode & 0o777).toBe(0o600);
    expect((await fetch(`${first.base_url}/api/health/ready`)).status).toBe(200);

    const second = start();
    await waitForExit(second.child);
    expect(second.child.exitCode).toBe(1);
    expect(second.output()).toContain(`already running here (process ${first.pid})`);
    expect(await answers(first.base_url)).toBe(true);

    const host = findDescendants(first.pid).find((pid) => readCommandLine(pid)?.includes('dev/host/main.ts'));
    process.kill(host ?? 0, 'SIGKILL');
    await until(started.output, () => started.output().includes('functions host is back'));
    expect(await answers(first.base_url)).toBe(true);

    const everything = findDescendants(first.pid);
    expect(everything.length).toBeGreaterThan(5);
    started.child.kill('SIGKILL');
    await waitForExit(started.child);
    // At once, while the leftovers are being ended.
    const again = start();
    await untilGone(everything);
    const next = await untilReady(again);
    expect({ ...next, pid: 0 }).toEqual({ ...first, pid: 0 });
    expect(await answers(next.base_url)).toBe(true);

    const rest = [next.pid, ...findDescendants(next.pid)];
    again.child.kill('SIGTERM');
    await waitForExit(again.child);
    expect(again.child.exitCode).toBe(0);
    expect(existsSync(stackFile)).toBe(false);
    await untilGone(rest);
  });

  test('begins anew with --fresh and other keys, and stops everything when interrupted while it starts', async () => {
    const fresh = start('--fresh');
    const anew = await untilReady(fresh);
    expect(anew.tenants.acme.writer).not.toBe(first.tenants.acme.writer);
    fresh.child.kill('SIGINT');
    await waitForExit(fresh.child);
    expect(fresh.child.exitCode).toBe(0);

    const interrupted = start();
    await until(interrupted.output, () => interrupted.output().includes('PostgreSQL'));
    const everything = findDescendants(interrupted.child.pid ?? 0);
    interrupted.child.kill('SIGINT');
    await waitForExit(interrupted.child);
    await untilGone(everything);
    expect(existsSync(stackFile)).toBe(false);
  });
});
