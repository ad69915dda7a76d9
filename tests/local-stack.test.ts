import type { ChildProcess } from 'node:child_process';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import Stripe from 'stripe';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { waitForExit } from '../dev/processes/managed-process.ts';
import { findTypeScriptNode } from '../dev/processes/node-command.ts';
import { readCommandLine, readProcessIdentity } from '../dev/processes/process-identity.ts';
import { askForPart } from './harness/ask.ts';
import {
  findStartPort,
  runStart,
  START_DEADLINE_MS,
  untilHolds,
  untilReady,
  untilServing,
} from './harness/npm-start.ts';
import type { StackFile, Started } from './harness/npm-start.ts';

// `npm start` as a process, like a developer's, with this file's folder and ports.

const SEVERAL_STARTS_MS = 3 * START_DEADLINE_MS;

const { dir: appDir } = await askForPart('app');
const port = String(await findStartPort());
const folder = mkdtempSync(path.join(tmpdir(), 'comply-stack-'));
const stackFile = path.join(folder, 'stack.json');

const running = new Set<ChildProcess>();

function start(...flags: string[]): Started {
  return startWith({}, ...flags);
}

function startWith(env: NodeJS.ProcessEnv, ...flags: string[]): Started {
  const root = path.join(import.meta.dirname, '..');
  const started = runStart(root, ['--folder', folder, '--app', appDir, '--port', port, ...flags], env);
  const { child } = started;
  running.add(child);
  child.once('exit', () => running.delete(child));
  return started;
}

/** All descendants of a process. */
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

/** The official SDK, which speaks to the stack's stand-in. */
function connectStripe({ stripe: { url, secret_key: key } }: StackFile): Stripe {
  return new Stripe(key, { host: '127.0.0.1', port: Number(new URL(url).port), protocol: 'http' });
}

/** Asks Entra's stand-in for a token. */
async function askToken({ oidc }: StackFile, form: Record<string, string>): Promise<string> {
  const response = await fetch(oidc.token_url, { method: 'POST', body: new URLSearchParams(form) });
  return z.object({ access_token: z.string() }).parse(await response.json()).access_token;
}

/** The status of a read of acme's with a token. */
async function readAsAcme({ base_url: baseUrl }: StackFile, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, 'x-tenant-id': 'acme' };
  return (await fetch(`${baseUrl}/api/v1/records`, { headers })).status;
}

function killChild(of: StackFile, main: string): void {
  const pid = findDescendants(of.pid).find((child) => readCommandLine(child)?.includes(main));
  process.kill(pid ?? 0, 'SIGKILL');
}

/** Runs `npm run demo -- …args`, and returns what it printed. Rejects if it fails. */
async function runDemo(...args: string[]): Promise<string> {
  const main = path.join(import.meta.dirname, '..', 'dev', 'demo', 'demo.ts');
  const { stdout } = await promisify(execFile)(findTypeScriptNode(), [main, ...args]);
  return stdout;
}

async function untilGone(pids: number[]): Promise<void> {
  const left = (): number[] => pids.filter((pid) => readProcessIdentity(pid) !== undefined);
  await untilHolds(
    () =>
      left()
        .map((pid) => readCommandLine(pid))
        .join('\n'),
    () => left().length === 0,
  );
}

afterEach(async ({ task }) => {
  // A failed test must not leave a stack to the next one.
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

  test('starts a stack that survives a crash of its host, refuses a second one, and leaves no process when it is killed', async () => {
    const started = start();
    first = await untilReady(started, folder);
    expect(first.pid).toBe(started.child.pid);
    expect(statSync(stackFile).mode & 0o777).toBe(0o600);
    await untilServing(first.base_url);

    const second = start();
    await waitForExit(second.child);
    expect(second.child.exitCode).toBe(1);
    expect(second.output()).toContain(`already running here (process ${first.pid})`);
    expect(await answers(first.base_url)).toBe(true);

    const stripe = connectStripe(first);
    const customer = await stripe.customers.create({ name: 'Globex' });
    killChild(first, 'dev/stripe/main.ts');
    await untilHolds(started.output, () => started.output().includes('Stripe stand-in is back'));
    expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ name: 'Globex' });

    const person = await askToken(first, { grant_type: 'password', username: 'ann', roles: 'Viewer' });
    const service = await askToken(first, { grant_type: 'client_credentials', roles: 'User' });
    const nobody = await askToken(first, { grant_type: 'password', username: 'bob' });
    const statuses = [person, service, nobody].map((token) => readAsAcme(first, token));
    expect(await Promise.all(statuses)).toEqual([200, 200, 401]);

    killChild(first, 'dev/host/main.ts');
    await untilHolds(started.output, () => started.output().includes('functions host is back'));
    expect(await answers(first.base_url)).toBe(true);

    const everything = findDescendants(first.pid);
    expect(everything.length).toBeGreaterThan(5);
    started.child.kill('SIGKILL');
    await waitForExit(started.child);
    // At once, while leftover processes are being stopped.
    const again = start();
    await untilGone(everything);
    const next = await untilReady(again, folder);
    expect({ ...next, pid: 0 }).toEqual({ ...first, pid: 0 });
    expect(await answers(next.base_url)).toBe(true);
    // The stand-in for Entra ID has the same address and the same keys.
    expect(await readAsAcme(next, person)).toBe(200);
    // One endpoint at Stripe, however often the stack starts, and it leads to the app.
    expect((await stripe.webhookEndpoints.list()).data).toMatchObject([
      { url: `${next.base_url}/api/v1/webhooks/stripe`, api_version: '2026-10-28.endive', status: 'enabled' },
    ]);

    const rest = [next.pid, ...findDescendants(next.pid)];
    again.child.kill('SIGTERM');
    await waitForExit(again.child);
    expect(again.child.exitCode).toBe(0);
    expect(existsSync(stackFile)).toBe(false);
    await untilGone(rest);
  });

  test('starts with new data with --fresh, with other keys and a disabled function, and stops everything if it is interrupted during the start', async () => {
    const fresh = start('--fresh', '--setting', 'AzureWebJobs.health-live.Disabled=true');
    const other = await untilReady(fresh, folder);
    expect(other.tenants.acme.writer).not.toBe(first.tenants.acme.writer);
    expect(await answers(other.base_url)).toBe(false);
    await untilServing(other.base_url);
    expect(fresh.output()).toMatch(/\d+ functions \(\d+ HTTP, \d+ Service Bus, \d+ Timers, 1 disabled\)/);
    expect(fresh.output()).not.toContain('health-ready: [');
    fresh.child.kill('SIGINT');
    await waitForExit(fresh.child);
    expect(fresh.child.exitCode).toBe(0);

    const interrupted = start();
    await untilHolds(interrupted.output, () => interrupted.output().includes('PostgreSQL'));
    const everything = findDescendants(interrupted.child.pid ?? 0);
    interrupted.child.kill('SIGINT');
    await waitForExit(interrupted.child);
    await untilGone(everything);
    expect(existsSync(stackFile)).toBe(false);
  });

  test('shows in `npm run demo -- billing` how a tenant pays, cannot pay, and pays again, also a second time, and in `npm run demo -- people` how people join and a tenant leaves', async () => {
    const started = start();
    await untilServing((await untilReady(started, folder)).base_url);
    for (const run of ['first', 'second']) {
      const said = await runDemo('billing', '--folder', folder);
      expect(said).toContain('the next one is refused: 402');
      expect(said).toMatch(/Billing-Standing: past_due; grace-ends="[^"]+"\n/);
      expect(said).toContain('Billing-Standing: read_only\n');
      expect(said).toContain('Billing-Standing: no header any more.');
      expect(said).toMatch(/failed +29\.00 USD/);
      const actions = [...said.matchAll(/Z {2}((?:billing|tenant)\.\w+)/g)].map(([, action]) => action);
      expect(actions.filter((action) => action?.startsWith('billing.portal') === false)).toEqual([
        'billing.checkout_opened',
        'tenant.plan_changed',
        'billing.grace_began',
        'billing.read_only_began',
        'billing.restored',
      ]);
      expect(said.includes('of an earlier run is cancelled')).toBe(run === 'second');
    }
    const said = await runDemo('people', '--folder', folder);
    expect(said).toContain('A wrong password: 401 UNAUTHORIZED');
    expect(said).toContain('Bob asks for the API keys: 403 INSUFFICIENT_RBAC');
    expect(said).toContain('Ann, the last owner, gives up her role: 409 CONFLICT');
    expect(said).toContain('A write: 403 INSUFFICIENT_RBAC');
    expect(said).toMatch(/The ledger:\s+\{\s+"status": "completed"/);
    expect(said).toMatch(/Ann’s session: 401/);
    started.child.kill('SIGINT');
    await waitForExit(started.child);
  });

  test('bills through an account at Stripe itself where a test key is given, and says how its webhooks come', async () => {
    const { child, output } = startWith({ STRIPE_SECRET_KEY: 'sk_test_somebodys' });
    await untilHolds(output, () => /Ready: /.test(output()) || child.exitCode !== null);
    expect(output()).toMatch(/stripe listen --forward-to 127\.0\.0\.1:\d+\/api\/v1\/webhooks\/stripe/);
    expect(output()).not.toContain('stand-in)');
    const children = findDescendants(child.pid ?? 0).map((pid) => readCommandLine(pid) ?? '');
    expect(children.filter((line) => line.includes('dev/stripe'))).toEqual([]);
    const file = readFileSync(stackFile, 'utf8');
    expect(JSON.parse(file)).toMatchObject({ stripe: null });
    expect(file).not.toContain('sk_test_somebodys');
    child.kill('SIGINT');
    await waitForExit(child);

    const live = startWith({ STRIPE_SECRET_KEY: 'sk_live_somebodys' });
    await waitForExit(live.child);
    expect(live.child.exitCode).toBe(1);
    expect(live.output()).toContain('is a live key');
    expect(live.output()).not.toContain('sk_live_somebodys');
  });

  test('says what is lost without Redis, and how to install it', async () => {
    // An empty folder on the PATH, and no server elsewhere.
    const empty = mkdtempSync(path.join(folder, 'path-'));
    const { child, output } = startWith({ PATH: empty, REDIS_URL: undefined });
    await untilHolds(output, () => /Redis .*\n/.test(output()) || child.exitCode !== null);
    child.kill('SIGINT');
    await waitForExit(child);
    const [said = ''] = /Redis .*\n.*/.exec(output()) ?? [];
    expect(said).toContain('none found. Everything works, but nothing is cached');
    expect(said).toContain('rate limits start from zero with every start');
    expect(said).toContain('node dev/packages/install.ts redis-server');
  });
});
