import { createHash } from 'node:crypto';
import { BlobServiceClient } from '@azure/storage-blob';
import postgres from 'postgres';
import { PLATFORM_TENANT } from '../../shared/platform/auth/principal.ts';
import { CONTAINERS } from '../../shared/platform/blob/blob-store.ts';
import { inParallel } from '../../shared/platform/blob/in-parallel.ts';
import { instantOfId } from '../../shared/platform/ids/ids.ts';
import { CREATED, usageEventId } from '../../shared/platform/writes/event-cause.ts';
import type { ReconcileReport } from '../../tools/reconcile/reconcile.ts';
import { isDone, type Ledger, type Write } from '../faults/ledger.ts';
import { completedLater, expectedUsage } from '../faults/verify-effects.ts';
import { readRows, type StoredRow } from '../faults/verify-rows.ts';
import { RESULTS_EACH } from '../faults/traffic.ts';
import type { Database, RestoredStack } from './restored-stack.ts';

/** What is compared after a restore. */
export interface Comparison {
  readonly ledger: Ledger;
  readonly restored: RestoredStack;
  readonly blob: string;
  readonly tenants: readonly string[];
  /** Calls of a tenant's other routes, before the load. */
  readonly baseline: ReadonlyMap<string, number>;
  /** The report of the run that mended, or of the one that did not. */
  readonly report: ReconcileReport;
  /** `performance.now()` of a moment. */
  readonly clockOf: (at: Date) => number;
}

type Sql = Readonly<Record<Database, postgres.Sql>>;

/** Collects what is wrong. */
class Wrong {
  readonly found: string[] = [];
  unless(holds: boolean, what: () => string): void {
    if (!holds) this.found.push(what());
  }
  equal(what: string, actual: unknown, expected: unknown): void {
    this.unless(
      JSON.stringify(actual) === JSON.stringify(expected),
      () => `${what}: ${JSON.stringify(actual)}, and should be ${JSON.stringify(expected)}`,
    );
  }
}

/**
 * Compares what the client was answered with what the restored stores have. Each answered write is there, or it is later than the
 * restored moment and the report lists what is left of it. Nothing is there twice. Returns all differences.
 */
export async function compareWithLedger(comparison: Comparison): Promise<readonly string[]> {
  const { adminUrls } = comparison.restored;
  const open = (url: string): postgres.Sql => postgres(url, { max: 2, onnotice: () => undefined });
  const sql: Sql = {
    core: open(adminUrls.core),
    billing: open(adminUrls.billing),
    analytics: open(adminUrls.analytics),
  };
  const wrong = new Wrong();
  try {
    const rows = await readRows({ sql });
    const lost = compareRows(wrong, comparison, rows);
    await compareLost(wrong, comparison, sql, lost);
    await compareUsage(wrong, comparison, sql, rows);
    await compareTrail(wrong, comparison, sql, rows);
    await compareBlobs(wrong, comparison, sql, lost);
    return wrong.found;
  } finally {
    await Promise.all(Object.values(sql).map((pool) => pool.end({ timeout: 1 })));
  }
}

/** Items of a kind in the report. */
function itemsOf({ report }: Comparison, kind: string, tenantId?: string) {
  return report.findings
    .filter((finding) => finding.kind === kind && (tenantId === undefined || finding.tenantId === tenantId))
    .flatMap(({ items }) => items);
}

/** When a write was sent first and answered last, by the client's clock. */
function timesOf(ledger: Ledger): ReadonlyMap<Write, { sent: number; answered: number }> {
  const times = new Map<Write, { sent: number; answered: number }>();
  for (const { writes, sentAt, tookMs, status } of ledger.attempts)
    for (const write of writes) {
      const known = times.get(write);
      times.set(write, {
        sent: Math.min(known?.sent ?? Infinity, sentAt),
        answered: isDone(status)
          ? Math.min(known?.answered ?? Infinity, sentAt + tookMs)
          : (known?.answered ?? Infinity),
      });
    }
  return times;
}

/** Compares the rows of core. Returns the answered writes that are lost. */
function compareRows(
  wrong: Wrong,
  { ledger, restored, clockOf }: Comparison,
  rows: readonly StoredRow[],
): Write[] {
  const moment = clockOf(restored.moments.core);
  const times = timesOf(ledger);
  const byMarker = new Map<string, StoredRow[]>();
  for (const row of rows) byMarker.set(row.marker ?? '', [...(byMarker.get(row.marker ?? '') ?? []), row]);
  const byId = new Map(rows.map((row) => [row.request_id, row]));
  const lost: Write[] = [];
  for (const write of ledger.writes) {
    const found =
      write.kind === 'completion'
        ? [byId.get(write.marker)].filter((row) => row?.status === 'completed')
        : (byMarker.get(write.marker) ?? []);
    const { sent = Infinity, answered = Infinity } = times.get(write) ?? {};
    const name = `${write.kind} ${write.marker} of ${write.tenantId}`;
    wrong.unless(found.length <= 1, () => `${name} is there ${found.length} times`);
    if (found.length > 0) {
      wrong.unless(sent <= moment, () => `${name} is there, and was sent after the restored moment`);
      wrong.unless(
        write.requestId === undefined || found[0]?.request_id === write.requestId,
        () => `${name} was answered with another id than it has`,
      );
    } else if (answered < Infinity) {
      wrong.unless(answered > moment, () => `${name} was answered before the restored moment, and is gone`);
      lost.push(write);
    }
  }
  for (const row of rows) {
    const completed = row.status === 'completed' ? 1 : 0;
    wrong.equal(`responses of ${row.request_id}`, row.responses, completed);
    if (row.kind === 'mapping') wrong.equal(`records of ${row.request_id}`, row.records, completed);
    if (row.kind === 'orchestration') wrong.equal(`results of ${row.request_id}`, row.results, RESULTS_EACH);
  }
  return lost;
}

/** What billing has of a lost write is listed. */
async function compareLost(
  wrong: Wrong,
  comparison: Comparison,
  { billing }: Sql,
  lost: readonly Write[],
): Promise<void> {
  const known = new Set(
    (await billing`select event_id from usage_records`).map((row) => String(row['event_id'])),
  );
  const listed = new Set(itemsOf(comparison, 'usage_ahead').map((item) => item['event_id']));
  for (const { tenantId, requestId, kind } of lost) {
    const at = requestId === undefined || kind === 'completion' ? undefined : instantOfId(requestId);
    if (requestId === undefined || at === undefined) continue;
    const id = usageEventId({ tenantId, at, of: requestId, act: CREATED }, 'api_calls');
    if (known.has(id))
      wrong.unless(listed.has(id), () => `billing has usage of the lost ${requestId}, and no report says so`);
  }
}

/** The ledger of usage has the usage of the rows once, and what the report lists. Roll-ups and allowances repeat it. */
async function compareUsage(
  wrong: Wrong,
  comparison: Comparison,
  { billing, analytics }: Sql,
  rows: readonly StoredRow[],
): Promise<void> {
  const { ledger, tenants, baseline } = comparison;
  const recorded = await billing`
    select tenant_id, usage_type, count(*)::int as events, sum(usage_amount)::text as amount,
           count(distinct (event_source, event_id))::int as distinct_events
      from usage_records group by 1, 2 order by 1, 2`;
  const rolled = await analytics`
    select tenant_id, metric_name as usage_type, granularity, sum(event_count)::int as events, sum(metric_value)::text as amount
      from usage_metrics group by 1, 2, 3`;
  const allowances = await billing`
    select tenant_id, usage_type, current_usage::text, reserved::text from free_tier_usage where plan_id = 'free'`;
  for (const tenantId of tenants) {
    const wanted = expectedUsage(ledger, rows, tenantId);
    for (const type of ['api_calls', 'detector_runs', 'analysis_runs']) {
      const row = recorded.find((one) => one['tenant_id'] === tenantId && one['usage_type'] === type);
      const ahead = itemsOf(comparison, 'usage_ahead', tenantId).filter(
        (item) => item['usage_type'] === type,
      );
      const before = type === 'api_calls' ? (baseline.get(tenantId) ?? 0) : 0;
      const sum = ahead.reduce((all, item) => all + Number(item['amount']), 0);
      wrong.equal(
        `usage of ${tenantId}, ${type}`,
        { events: row?.['events'] ?? 0, amount: Number(row?.['amount'] ?? 0) },
        {
          events: (wanted.get(type)?.events ?? 0) + ahead.length + before,
          amount: (wanted.get(type)?.amount ?? 0) + sum + before,
        },
      );
    }
  }
  for (const {
    tenant_id: tenantId,
    usage_type: type,
    events,
    amount,
    distinct_events: distinct,
  } of recorded) {
    if (tenantId === PLATFORM_TENANT) continue; // the drill itself runs jobs
    wrong.equal(`usage events of ${tenantId}, ${type}`, distinct, events);
    for (const granularity of ['hour', 'day']) {
      const row = rolled.find(
        (one) =>
          one['tenant_id'] === tenantId && one['usage_type'] === type && one['granularity'] === granularity,
      );
      const actual = { events: row?.['events'] ?? 0, amount: Number(row?.['amount'] ?? 0) };
      wrong.equal(`roll-up by ${granularity} of ${tenantId}, ${type}`, actual, {
        events,
        amount: Number(amount),
      });
    }
    const allowance = allowances.find((one) => one['tenant_id'] === tenantId && one['usage_type'] === type);
    if (allowance !== undefined)
      wrong.equal(
        `allowance of ${tenantId}, ${type}`,
        { used: Number(allowance['current_usage']), reserved: Number(allowance['reserved']) },
        { used: Number(amount), reserved: 0 },
      );
  }
}

/** The audit trail has each write once, and what the report lists. */
async function compareTrail(
  wrong: Wrong,
  comparison: Comparison,
  { core }: Sql,
  rows: readonly StoredRow[],
): Promise<void> {
  const entries = await core`
    select tenant_id, action, resource_id, count(*)::int as times from audit_logs
     where action ~ '^(mapping|orchestration|analysis|record)[.](created|completed|archived)$' group by 1, 2, 3`;
  const told = new Map<string, number>(
    entries.map((row) => [`${row['action']} ${row['resource_id']}`, Number(row['times'])]),
  );
  const expected = new Set<string>();
  for (const row of rows) {
    expected.add(`${row.kind}.created ${row.request_id}`);
    if (row.record_id !== null) expected.add(`record.archived ${row.record_id}`);
  }
  for (const row of completedLater(comparison.ledger, rows))
    expected.add(`mapping.completed ${row.request_id}`);
  const listed = new Set(
    itemsOf(comparison, 'audit_ahead').map((item) => `${item['action']} ${item['resource_id']}`),
  );
  for (const entry of expected)
    wrong.equal(`times that the audit trail has ${entry}`, told.get(entry) ?? 0, 1);
  for (const entry of told.keys())
    wrong.unless(expected.has(entry) || listed.has(entry), () => `nothing explains the audit entry ${entry}`);
  const notes = await core`
    select tenant_id, count(*)::int as times from audit_logs where action = 'database.restored' group by 1`;
  for (const tenantId of comparison.tenants)
    wrong.equal(
      `entries of the restore in the trail of ${tenantId}`,
      notes.find((row) => row['tenant_id'] === tenantId)?.['times'] ?? 0,
      1,
    );
}

/** Each record has its blob, with the bytes that it says, and each blob has a record or is listed. */
async function compareBlobs(
  wrong: Wrong,
  comparison: Comparison,
  { core, billing }: Sql,
  lost: readonly Write[],
): Promise<void> {
  const records = await core`
    select r.tenant_id, r.id, r.archived_at is not null as archived, encode(r.blob_sha256, 'hex') as sha256,
           'mappings/' || r.tenant_id || to_char(r.created_at, '/YYYY/MM/DD/') || r.id || '.json' as name
      from storage_records r`;
  const container = BlobServiceClient.fromConnectionString(comparison.blob).getContainerClient(
    CONTAINERS.records,
  );
  const blobs = new Set<string>();
  for await (const { name } of container.listBlobsFlat()) blobs.add(name);
  const listed = new Set(itemsOf(comparison, 'blob_ahead').map((item) => item['blob']));
  const named = new Set(records.map((row) => String(row['name'])));
  const booked = new Set(
    (await core`select blob_name from ops.blobs`).map((row) => String(row['blob_name'])),
  );
  for (const name of blobs) {
    wrong.unless(named.has(name) || listed.has(name), () => `no record and no report has the blob ${name}`);
    wrong.unless(booked.has(name), () => `ops.blobs does not have ${name}`);
  }
  for (const { recordId } of lost)
    if (recordId !== undefined && [...blobs].some((name) => name.endsWith(`${recordId}.json`)))
      wrong.unless(
        [...listed].some((name) => String(name).endsWith(`${recordId}.json`)),
        () => `the blob of the lost record ${recordId} is not listed`,
      );
  const metered = await billing`
    select resource_id, count(*)::int as times from usage_records where usage_type = 'storage_gb' group by 1`;
  const times = new Map(metered.map((row) => [String(row['resource_id']), Number(row['times'])]));
  await inParallel([...records], 16, async (row) => {
    const [id, name] = [String(row['id']), String(row['name'])];
    const { archived, sha256 } = row;
    wrong.unless(archived === true, () => `record ${id} is not archived`);
    wrong.equal(`times that the storage of ${id} is metered`, times.get(id) ?? 0, 1);
    wrong.unless(blobs.has(name), () => `record ${id} has no blob`);
    if (!blobs.has(name)) return;
    const bytes = await container.getBlobClient(name).downloadToBuffer();
    wrong.equal(`bytes of ${name}`, createHash('sha256').update(bytes).digest('hex'), sha256);
  });
}
