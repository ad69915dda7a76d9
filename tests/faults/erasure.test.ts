import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { beforeAll, expect, it } from 'vitest';
import { findTypeScriptNode } from '../../dev/processes/node-command.ts';
import { openServices, type Services } from '../../functions/services.ts';
import { tenantTables } from '../../functions/tenant-tables.ts';
import { runErasures } from '../../shared/domains/erasure/erasure-job.ts';
import type { ErasureReport } from '../../shared/domains/erasure/schemas.ts';
import { startTestApp, until } from '../harness/app.ts';
import { makeGoneTenant } from '../harness/leaving-tenant.ts';
import { Killed, mortalServices } from './mortal-services.ts';
import { openRandom } from './random.ts';

// An erasure that dies anywhere is continued, and ends with the report of one that nobody disturbed.

const app = await startTestApp();
const random = openRandom();
const { core } = app.admin;
const KILLS = 50;

/** Later and later, so that no run waits for requests to end. */
let minutes = 0;
const later = (): Date => new Date(Date.now() + (minutes += 3) * 60_000);
const run = (services: Services = app.services) =>
  runErasures({ services, tables: tenantTables, now: later(), hasTime: () => true });

interface Ledger {
  readonly status: string;
  readonly step: string;
  readonly error: string | null;
  readonly held_by: readonly string[];
  readonly report: ErasureReport | null;
}

async function ledgerOf(tenantId: string): Promise<Ledger | undefined> {
  const [row] = await core<Ledger[]>`
    select status, step, error, held_by, report from ops.erasures where tenant_id = ${tenantId}`;
  return row;
}

/** A report without what differs between two tenants that have the same: names, ids and times. */
async function plainReport(tenantId: string): Promise<unknown> {
  const { status, report } = (await ledgerOf(tenantId)) ?? {};
  expect([tenantId, status]).toEqual([tenantId, 'completed']);
  return {
    ...report,
    keys: report?.keys.map(({ versions }) => versions),
    places: report?.places.filter(({ place }) => place !== 'legal_holds'),
  };
}

let undisturbed: unknown;

beforeAll(async () => {
  await makeGoneTenant(app, 'calm');
  await run();
  await run();
  undisturbed = await plainReport('calm');
  expect(JSON.stringify(undisturbed)).toContain('mapper-outputs');
});

it(`ends with the same report after ${KILLS} deaths at any statement (seed ${random.seed})`, async () => {
  const tenants = ['killed-a', 'killed-b', 'killed-c'];
  for (const tenant of tenants) await makeGoneTenant(app, tenant);
  const diedAt = new Map<string, number>();
  for (let kill = 0; kill < KILLS; kill++) {
    const fuse = { left: random.between(5, 80), before: random.next() < 0.5 };
    const ended = await run(mortalServices(app.services, fuse)).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Killed) return false;
        throw error;
      },
    );
    if (ended) await makeGoneTenant(app, `killed-more-${kill}`);
    const [open] = await core`
      select step from ops.erasures where finished_at is null order by requested_at, erasure_id limit 1`;
    const step = String(open?.['step']);
    diedAt.set(step, (diedAt.get(step) ?? 0) + 1);
  }
  await run();
  await run();
  for (const tenant of tenants) expect(await plainReport(tenant)).toEqual(undisturbed);
  expect(diedAt.size).toBeGreaterThan(2);
});

it('ends with the same report after the process was killed', async () => {
  await makeGoneTenant(app, 'sigkilled', 40);
  await makeGoneTenant(app, 'quiet', 40);
  const child = async (killAfterMs: number | undefined): Promise<string> => {
    const running = spawn(findTypeScriptNode(), ['tests/faults/erasing-process.ts', later().toISOString()], {
      env: { ...process.env, ...app.environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    running.stdout.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    await until(
      () => Promise.resolve(said),
      (text) => text.includes('begins'),
      60,
    );
    if (killAfterMs !== undefined) {
      await delay(killAfterMs);
      running.kill('SIGKILL');
    }
    if (running.exitCode === null && running.signalCode === null) await once(running, 'close');
    return said;
  };
  for (let kill = 0; kill < 3; kill++) await child(random.between(20, 400));
  expect(await child(undefined)).toContain('done');
  expect(await child(undefined)).toContain('done');
  expect(await plainReport('sigkilled')).toEqual(await plainReport('quiet'));
});

it('ends with the same report when two run at once', async () => {
  await makeGoneTenant(app, 'raced');
  const others = [openServices(app.settings), openServices(app.settings)];
  await run();
  // One may find the other's lock, and tries again with its next run.
  await Promise.allSettled(others.map((services) => run(services)));
  await Promise.all(others.map((services) => services.close()));
  await run();
  expect(await plainReport('raced')).toEqual(undisturbed);
});

it('says which database was away half-way, and goes on when it is back', async () => {
  await makeGoneTenant(app, 'cut');
  await run();
  const { name, admin } = app.databases.billing;
  const server = postgres(admin.replace(`/${name}`, '/postgres'), { max: 1, onnotice: () => undefined });
  const services = openServices(app.settings);
  await server.unsafe(`alter database ${name} with allow_connections false`);
  await server`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
  await expect(run(services)).rejects.toThrow();
  expect(await ledgerOf('cut')).toMatchObject({
    status: 'running',
    step: 'rows',
    error: expect.any(String) as string,
  });
  await server.unsafe(`alter database ${name} with allow_connections true`);
  await server.end();
  await until(
    () =>
      run(services).then(
        () => ledgerOf('cut'),
        () => undefined,
      ),
    (ledger) => ledger?.status === 'completed',
    30,
  );
  await services.close();
  expect(await ledgerOf('cut')).toMatchObject({ error: null });
  expect(await plainReport('cut')).toEqual(undisturbed);
});

it('stops at a legal hold that is placed half-way, says which, and goes on when it is released', async () => {
  await makeGoneTenant(app, 'held');
  await run();
  let placed: string | undefined;
  const onStep = async (text: string): Promise<void> => {
    if (placed !== undefined || !text.includes('ops.erase_rows')) return;
    const [row] = await core`insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
      values ('held', gen_random_uuid(), 'late', 'litigation', '{}', 'operator') returning hold_id`;
    placed = String(row?.['hold_id']);
  };
  await run(mortalServices(app.services, { left: Infinity, before: false, onStep }));
  expect(await ledgerOf('held')).toMatchObject({ status: 'on_hold', step: 'rows', held_by: [placed] });
  const [rows] = await core`select count(*)::int as n from mapper_requests where tenant_id = 'held'`;
  expect(rows?.['n']).toBeGreaterThan(0);
  await core`update legal_holds set released_at = now(), released_by = 'operator' where tenant_id = 'held'`;
  await run();
  expect(await plainReport('held')).toEqual(undisturbed);
});

it('keeps the data keys under a hold that an operator places after nobody can sign in any more', async () => {
  await makeGoneTenant(app, 'unsealed');
  const holds = '/api/v1/platform/tenants/unsealed/legal-holds';
  let placed: string | undefined;
  const onStep = async (text: string): Promise<void> => {
    if (placed !== undefined || !text.includes('from ops.data_keys')) return;
    const body = { name: 'late', reason: 'litigation', scope: {} };
    placed = (await app.request('POST', holds, { key: app.keys.operator, body })).body.hold_id;
  };
  await run(mortalServices(app.services, { left: Infinity, before: false, onStep }));
  expect(await ledgerOf('unsealed')).toMatchObject({ status: 'on_hold', step: 'keys', held_by: [placed] });
  const areDestroyed = async () => {
    const keys =
      await core`select wrapped_key is null as it_is from ops.data_keys where tenant_id = 'unsealed'`;
    return [...new Set(keys.map((key) => key['it_is'] as boolean))];
  };
  expect(await areDestroyed()).toEqual([false]);
  const [tenant] = await core`select status from tenants where tenant_id = 'unsealed'`;
  expect(tenant).toEqual({ status: 'erased' });
  await app.request('POST', `${holds}/${placed}/release`, { key: app.keys.operator });
  await run();
  await run();
  expect(await ledgerOf('unsealed')).toMatchObject({ status: 'completed', error: null, held_by: [] });
  expect(await areDestroyed()).toEqual([true]);
});
