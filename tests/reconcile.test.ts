import { execFile } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { findTypeScriptNode } from '../dev/processes/node-command.ts';
import { reconcile, type ReconcileReport } from '../tools/reconcile/reconcile.ts';
import type { Kind } from '../tools/reconcile/findings.ts';
import { startTestApp, until } from './harness/app.ts';

// What a restore leaves behind, made by hand in one database at a time. tests/restore-drill/restore.test.ts restores in earnest.

const app = await startTestApp();
const { acme } = app.keys;
const MINUTE_MS = 60_000;

const RESPONSE = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.9 },
  confidence: 0.9,
  processing_time_ms: 1,
  model_used: 'm',
};
const MAPPING = { detector: 'regex-pii', source_data: 'x', model_version: 'v1' };
const RESULT = { status: 'success', processing_time_ms: 3, confidence: 0.9 };
const ORCHESTRATION = { content: 'x', content_type: 'text', policy_bundle: 'default', environment: 'prod' };
const ANALYSIS = {
  period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' },
  metrics: { coverage: 0.5 },
};
const ANALYSED = { explanation: 'Fine.', confidence: 0.95, processing_time_ms: 1, model_used: 'a' };

/** Sends a write. Returns the answer's body. */
async function write(
  method: string,
  path: string,
  body: unknown,
  key = acme.writer,
): Promise<Record<string, string>> {
  const answer = await app.request(method, `/api/v1/${path}`, { key, body });
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body as Record<string, string>;
}

/** Every kind of write whose rows tell what it caused. */
async function writeAll(): Promise<void> {
  await write('POST', 'mappings', { ...MAPPING, response: RESPONSE });
  const { request_id: pending } = await write('POST', 'mappings', MAPPING);
  await write('PUT', `mappings/${pending}/response`, RESPONSE);
  await write('POST', 'mappings', MAPPING);
  await write('POST', 'orchestrations', {
    ...ORCHESTRATION,
    detector_results: [{ detector: 'a', ...RESULT }],
    response: { total_processing_time_ms: 4 },
  });
  const { request_id: open } = await write('POST', 'orchestrations', ORCHESTRATION);
  const results = [
    { detector: 'b', ...RESULT },
    { detector: 'a', ...RESULT },
  ];
  await write('POST', `orchestrations/${open}/detector-results`, { results });
  await write('POST', `orchestrations/${open}/detector-results`, { results });
  await write('PUT', `orchestrations/${open}/response`, { total_processing_time_ms: 4 });
  const { job_id: job } = await write('POST', 'orchestrations', {
    ...ORCHESTRATION,
    processing_mode: 'async',
  });
  await write('POST', `jobs/${job}/cancel`, undefined);
  await write('POST', 'analyses', { ...ANALYSIS, response: ANALYSED });
  await write('POST', 'analyses', { ...ANALYSIS, response: { ...ANALYSED, confidence: 0.1 } });
  const { request_id: unanswered } = await write('POST', 'analyses', ANALYSIS);
  await write('PUT', `analyses/${unanswered}/response`, { ...ANALYSED, confidence: 0.1 });
  const { request_id: rendered } = await write('POST', 'analyses', ANALYSIS);
  await write('POST', `analyses/${rendered}/fallback`, {});
}

/** Compares as if core had been restored to a moment. */
function run(moment: Date, mend = false): Promise<ReconcileReport> {
  return reconcile(app.services, { moments: { core: moment }, mend, waitMs: 30_000 });
}

const findingsOf = ({ findings }: ReconcileReport, kind: Kind) => findings.filter((one) => one.kind === kind);
const kindsOf = ({ findings }: ReconcileReport): Kind[] => findings.map(({ kind }) => kind);

/** The identities of what writes caused, in each ledger. */
async function identities(): Promise<Record<string, unknown>> {
  const { core, billing, analytics } = app.admin;
  return {
    usage:
      await billing`select event_id, usage_type, usage_amount, occurred_at from usage_records order by 1`,
    rolled: await analytics`select event_id from ops.consumed_events order by 1`,
    sums: await analytics`
      select tenant_id, metric_name, granularity, period_start, metric_value, event_count from usage_metrics order by 1, 2, 3, 4`,
    trail: await core`
      select event_id, action, resource_id, created_at from audit_logs
       where action not in ('database.restored', 'tenant.plan_changed') order by 1`,
  };
}

async function settled(): Promise<void> {
  const read = async (): Promise<readonly number[]> => {
    const outboxes = [app.admin.core, app.admin.billing, app.admin.analytics];
    const rows = await Promise.all(outboxes.map((sql) => sql`select count(*)::int as n from ops.outbox`));
    const open = await app.admin
      .core`select count(*)::int as n from storage_records where archived_at is null`;
    const queues = ['usage-events', 'audit-events', 'archive-records'];
    const waiting = await Promise.all(
      queues.map(async (queue) => (await app.services.bus.peek(queue, { dead: false, limit: 1 })).length),
    );
    return [...rows.flat(), ...open].map((row) => Number(row['n'])).concat(waiting);
  };
  const isQuiet = (counts: readonly number[]): boolean => counts.every((count) => count === 0);
  await until(read, isQuiet);
  await until(read, isQuiet);
}

let past: Date;

beforeAll(async () => {
  past = new Date(Date.now() - MINUTE_MS);
  await writeAll();
  await settled();
  // The test's tenants have a plan in core only. From now on both databases agree.
  await run(past, true);
  await settled();
});

describe('after a restore', () => {
  it('a program finds nothing to mend where nothing is lost: rows tell all that their writes caused, with the same identities', async () => {
    const report = await run(new Date(Date.now() + MINUTE_MS));
    expect(kindsOf(report).filter((kind) => kind !== 'restore_unnoted')).toEqual([]);
  });

  it('lost usage, roll-ups and entries come back with their identities, times and amounts, and a second run changes nothing', async () => {
    const before = await identities();
    const moment = new Date(Date.now() + MINUTE_MS);
    await app.admin.billing`delete from usage_records`;
    await app.admin.analytics`delete from ops.consumed_events`;
    await app.admin.analytics`delete from usage_metrics`;
    await app.admin.core.begin(async (sql) => {
      // Of this transaction's own connection: the pool has another one.
      await sql`set local session_replication_role = replica`;
      await sql`delete from audit_logs where tenant_id = 'acme'`;
    });
    const report = await run(moment, true);
    expect(kindsOf(report)).toEqual(expect.arrayContaining(['usage_behind', 'audit_behind']));
    await settled();
    expect(await identities()).toEqual(before);
    const [entry] = await app.admin.core`
      select actor, details from audit_logs where action = 'mapping.created' limit 1`;
    expect(entry).toMatchObject({ actor: 'tool:reconcile', details: { made_again: true } });
    const again = await run(moment, true);
    expect(kindsOf(again)).toEqual([]);
    await settled();
    expect(await identities()).toEqual(before);
  });

  it('usage and blobs of lost writes are listed, and the blobs are kept until their retention ends', async () => {
    const { request_id: mapping, record_id: record } = await write('POST', 'mappings', {
      ...MAPPING,
      response: RESPONSE,
    });
    await settled();
    const [booked] = await app.admin.core`
      delete from ops.blobs where record_id = ${record ?? ''} returning *`;
    await app.admin.core`delete from storage_records where id = ${record ?? ''}`;
    await app.admin.core`delete from mapper_responses where request_id = ${mapping ?? ''}`;
    await app.admin.core`delete from mapper_requests where request_id = ${mapping ?? ''}`;
    const report = await run(past, true);
    const [ahead] = findingsOf(report, 'usage_ahead').filter(({ tenantId }) => tenantId === 'acme');
    expect(ahead).toMatchObject({ count: 2, mended: false, amounts: { api_calls: 1 } });
    expect(findingsOf(report, 'audit_ahead')[0]?.items).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ action: 'mapping.created', resource_id: mapping }),
        expect.objectContaining({ action: 'record.archived', resource_id: record }),
      ]),
    );
    expect(findingsOf(report, 'blob_ahead')).toMatchObject([
      { tenantId: 'acme', count: 1, mended: true, items: [{ record_id: record, mapping_id: mapping }] },
    ]);
    const [adopted] = await app.admin.core`select * from ops.blobs where record_id = ${record ?? ''}`;
    const { sha256, bytes, delete_after, source_id } = booked ?? {};
    expect(adopted).toMatchObject({ sha256, bytes, delete_after, source_id });
    expect(findingsOf(await run(past), 'blob_ahead')).toEqual([]);
  });

  it('a record that was archived and is not marked so is archived again, and its storage is metered once', async () => {
    const { record_id: record } = await write('POST', 'mappings', { ...MAPPING, response: RESPONSE });
    await settled();
    await app.admin.core`delete from ops.blobs where record_id = ${record ?? ''}`;
    await app.admin
      .core`update storage_records set archived_at = null, blob_sha256 = null where id = ${record ?? ''}`;
    const report = await run(past, true);
    expect(findingsOf(report, 'record_not_archived')).toMatchObject([{ count: 1, mended: true }]);
    await settled();
    const metered = await app.admin.billing`select from usage_records where resource_id = ${record ?? ''}`;
    const told = await app.admin.core`
      select from audit_logs where resource_id = ${record ?? ''} and action = 'record.archived'`;
    expect([metered.length, told.length]).toEqual([1, 1]);
  });

  it('a revoked key that is valid again is revoked again, with its own entry, and other acts are listed', async () => {
    const key = await write(
      'POST',
      'api-keys',
      { key_name: 'temporary', permission_set: 'reader' },
      acme.owner,
    );
    // Before the next request even if that begins in the same millisecond.
    const moment = new Date(Date.now() - 1);
    await app.request('DELETE', `/api/v1/api-keys/${key['key_id']}`, { key: acme.owner });
    await write('POST', 'legal-holds', { name: 'A case', reason: 'A lawsuit.', scope: {} }, acme.owner);
    await settled();
    const entryOf = () => app.admin.core`
      select event_id, actor, ip_address, canonical, leaf_hash from audit_logs
       where action = 'api_key.revoked' and resource_id = ${key['key_id'] ?? ''}`;
    const [entry] = await entryOf();
    await app.admin
      .core`update api_keys set revoked_at = null, is_active = true where key_id = ${key['key_id'] ?? ''}`;
    await app.admin.core.begin(async (sql) => {
      // Of this transaction's own connection: the pool has another one.
      await sql`set local session_replication_role = replica`;
      await sql`delete from audit_logs where created_at > ${moment}`;
    });
    const report = await run(moment, true);
    expect(findingsOf(report, 'act_undone')).toMatchObject([
      { tenantId: 'acme', mended: true, items: [{ action: 'api_key.revoked', resource_id: key['key_id'] }] },
    ]);
    expect(findingsOf(report, 'act_to_repeat')).toMatchObject([
      { tenantId: 'acme', mended: false, items: [{ action: 'legal_hold.created' }] },
    ]);
    await settled();
    expect(await entryOf()).toEqual([entry]);
    const [stored] = await app.admin.core`
      select is_active, revoked_at from api_keys where key_id = ${key['key_id'] ?? ''}`;
    expect(stored).toMatchObject({ is_active: false, revoked_at: expect.any(Date) as unknown });
    expect(findingsOf(await run(moment), 'act_undone')).toEqual([]);
  });

  it('each trail says once that it was restored, and to which moments', async () => {
    const moment = new Date(Date.now() - 2 * MINUTE_MS);
    const moments = { core: moment, billing: past };
    await reconcile(app.services, { moments, mend: true, waitMs: 30_000 });
    await reconcile(app.services, { moments, mend: true, waitMs: 30_000 });
    await settled();
    const entries = await app.admin.core`
      select tenant_id, details from audit_logs
       where action = 'database.restored' and details->>'core' = ${moment.toISOString()} order by 1`;
    expect(entries.map((row) => row['tenant_id'])).toEqual(['acme', 'globex', 'platform']);
    expect(entries[0]?.['details']).toMatchObject({ billing: past.toISOString() });
  });
});

describe('npm run reconcile', () => {
  const runTool = (...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      const options = { env: { ...process.env, ...app.environment } };
      execFile(findTypeScriptNode(), ['tools/reconcile/main.ts', ...args], options, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });

  it.each([
    ['no moment', []],
    ['a moment that is no time', ['--core', 'yesterday']],
    ['a time without its zone', ['--core', '2026-01-31T10:15:00']],
    ['an unknown option', ['--core', '2026-01-31T10:15:00Z', '--force']],
  ])('refuses %s, and says how it is used', async (_, args) => {
    expect(await runTool(...args)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('usage:') as unknown,
    });
  });

  it('prints what is wrong and what mends it, changes nothing, and ends with 3', async () => {
    await app.admin.billing`delete from usage_records where usage_type = 'analysis_runs'`;
    const { code, stdout } = await runTool('--billing', new Date().toISOString());
    expect(code).toBe(3);
    expect(stdout).toContain('usage_behind: ');
    expect(stdout).toContain('run it with --mend');
    const rows = await app.admin.billing`select from usage_records where usage_type = 'analysis_runs'`;
    expect(rows).toHaveLength(0);
  });
});
