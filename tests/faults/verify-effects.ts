import { PLATFORM_TENANT } from '../../shared/platform/auth/principal.ts';
import type { Disagreements } from './disagreements.ts';
import type { FaultStack } from './fault-stack.ts';
import type { Ledger } from './ledger.ts';
import { PRODUCER_SOURCE, PRODUCER_USAGE } from './producer.ts';
import type { StoredRow } from './verify-rows.ts';
import { RESULTS_EACH } from './traffic.ts';

/** Mappings whose response came separately. */
export function completedLater(ledger: Ledger, rows: readonly StoredRow[]): StoredRow[] {
  const pending = new Set(
    ledger.writes.filter(({ kind }) => kind === 'pending_mapping').map(({ marker }) => marker),
  );
  return rows.filter((row) => row.status === 'completed' && pending.has(row.marker ?? ''));
}

/** The expected usage of a tenant's rows, by usage type: the number of events and the amount. */
export function expectedUsage(
  ledger: Ledger,
  rows: readonly StoredRow[],
  tenantId: string,
): Map<string, { events: number; amount: number }> {
  const own = rows.filter((row) => row.tenant_id === tenantId);
  const count = (kind: StoredRow['kind']): number => own.filter((row) => row.kind === kind).length;
  const calls = own.length + completedLater(ledger, own).length;
  const probes = ledger.messages.filter(
    (message) => message.valid && message.queue === 'usage-events' && message.tenantId === tenantId,
  ).length;
  const entries: [string, { events: number; amount: number }][] = [
    ['api_calls', { events: calls, amount: calls }],
    ['detector_runs', { events: count('orchestration'), amount: count('orchestration') * RESULTS_EACH }],
    ['analysis_runs', { events: count('analysis'), amount: count('analysis') }],
    [PRODUCER_USAGE, { events: probes, amount: probes }],
  ];
  return new Map(entries.filter(([, { events }]) => events > 0));
}

/** Checks that usage is counted once: in the ledger, in the roll-ups, and against a free tenant's allowance. */
export async function checkUsage(
  found: Disagreements,
  faults: FaultStack,
  ledger: Ledger,
  rows: readonly StoredRow[],
): Promise<void> {
  const { billing, analytics } = faults.sql;
  const recorded = await billing`
    select tenant_id, usage_type, count(*)::int as events, sum(usage_amount)::text as amount,
           count(distinct (event_source, event_id))::int as distinct_events
      from usage_records group by 1, 2 order by 1, 2`;
  for (const { tenantId } of faults.tenants) {
    const actual = recorded.filter(
      (row) => row['tenant_id'] === tenantId && row['usage_type'] !== 'storage_gb',
    );
    const wanted = expectedUsage(ledger, rows, tenantId);
    for (const usageType of new Set([...wanted.keys(), ...actual.map((row) => String(row['usage_type']))])) {
      const row = actual.find((one) => one['usage_type'] === usageType);
      const figures = { events: row?.['events'] ?? 0, amount: Number(row?.['amount'] ?? 0) };
      found.equal(`usage of ${tenantId}, ${usageType}`, figures, wanted.get(usageType));
    }
  }
  for (const row of recorded)
    found.equal(
      `usage events of ${row['tenant_id']}, ${row['usage_type']}`,
      row['distinct_events'],
      row['events'],
    );
  const rolled = await analytics`
    select tenant_id, metric_name as usage_type, granularity, sum(event_count)::int as events, sum(metric_value)::text as amount
      from usage_metrics group by 1, 2, 3`;
  for (const { tenant_id, usage_type, events, amount } of recorded) {
    if (tenant_id === PLATFORM_TENANT) continue; // the operator keeps running jobs
    for (const granularity of ['hour', 'day']) {
      const row = rolled.find(
        (one) =>
          one['tenant_id'] === tenant_id &&
          one['usage_type'] === usage_type &&
          one['granularity'] === granularity,
      );
      found.equal(
        `roll-up by ${granularity} of ${tenant_id}, ${usage_type}`,
        { events: row?.['events'], amount: Number(row?.['amount']) },
        { events, amount: Number(amount) },
      );
    }
  }
  await checkAllowances(found, faults, recorded as unknown as StoredUsage[]);
}

interface StoredUsage {
  readonly tenant_id: string;
  readonly usage_type: string;
  readonly amount: string;
}

async function checkAllowances(
  found: Disagreements,
  { sql: { billing }, tenants }: FaultStack,
  recorded: readonly StoredUsage[],
): Promise<void> {
  const allowances =
    await billing`select tenant_id, usage_type, current_usage::text, reserved::text from free_tier_usage`;
  const reservations = await billing`
    select tenant_id, usage_type, reservation_id, amount::text, created_at from ops.usage_reservations`;
  for (const { tenantId, free } of tenants) {
    const own = allowances.filter((row) => row['tenant_id'] === tenantId);
    found.check(own.length > 0 || !free, () => `${tenantId} has no allowances`);
    for (const { usage_type: usageType, current_usage: current, reserved } of own) {
      const used = recorded.find((row) => row.tenant_id === tenantId && row.usage_type === usageType);
      found.equal(
        `allowance of ${tenantId}, ${usageType}`,
        { used: Number(current), reserved: Number(reserved) },
        { used: Number(used?.amount ?? 0), reserved: 0 },
      );
    }
  }
  for (const row of reservations)
    found.check(false, () => `a reservation is left behind: ${JSON.stringify(row)}`);
}

/** Checks that the audit trail has each write once. */
export async function checkAudit(
  found: Disagreements,
  { sql: { core } }: FaultStack,
  ledger: Ledger,
  rows: readonly StoredRow[],
): Promise<void> {
  const entries = await core`
    select tenant_id, action, resource_id, count(*)::int as times from audit_logs
     where tenant_id <> ${PLATFORM_TENANT} and action <> 'tenant.created' group by 1, 2, 3`;
  const told = new Map(
    entries.map((row) => [
      `${row['tenant_id']} ${row['action']} ${row['resource_id']}`,
      Number(row['times']),
    ]),
  );
  const expected = new Set<string>();
  for (const row of rows) {
    expected.add(`${row.tenant_id} ${row.kind}.created ${row.request_id}`);
    if (row.record_id !== null) expected.add(`${row.tenant_id} record.archived ${row.record_id}`);
  }
  for (const row of completedLater(ledger, rows))
    expected.add(`${row.tenant_id} mapping.completed ${row.request_id}`);
  for (const message of ledger.messages) {
    if (message.valid && message.queue === 'audit-events')
      expected.add(`${message.tenantId} producer.probed ${message.id}`);
  }
  for (const blob of ledger.restoredBlobs) expected.add(blob.replace(' ', ' blob.restored '));
  for (const record of ledger.sourcesRead) expected.add(record.replace(' ', ' record.source_read '));
  for (const entry of expected) {
    const times = told.get(entry) ?? 0;
    found.check(times === 1, () => `the audit trail has ${times} times: ${entry}`);
  }
  for (const entry of told.keys())
    found.check(expected.has(entry), () => `nothing caused the audit entry ${entry}`);
}

/** Checks that no message is lost: each is stored, in quarantine, or a dead letter, and in one place only. */
export async function checkMessages(
  found: Disagreements,
  { sql: { core, billing } }: FaultStack,
  ledger: Ledger,
  deadLettered: number,
): Promise<void> {
  const stored = [
    ...(await billing`select event_id from usage_records where event_source = ${PRODUCER_SOURCE}`),
    ...(await core`select event_id from audit_logs where event_source = ${PRODUCER_SOURCE}`),
  ].map((row) => String(row['event_id']));
  const quarantined = (await core`select message_id, queue, reason from ops.quarantine`).map((row) => ({
    id: String(row['message_id']),
    text: `${row['queue']} ${row['reason']}`,
  }));
  found.equal(
    'messages stored + in quarantine + dead letters',
    stored.length + quarantined.length + deadLettered,
    ledger.messages.length,
  );
  found.equal('dead letters', deadLettered, 0);
  const isStored = new Set(stored);
  const isQuarantined = new Map(quarantined.map(({ id, text }) => [id, text]));
  for (const { id, valid, queue } of ledger.messages) {
    found.equal(`message ${id} (${queue}, ${valid ? 'valid' : 'faulty'}) is stored`, isStored.has(id), valid);
    found.equal(`message ${id} (${queue}) is in quarantine`, isQuarantined.has(id), !valid);
  }
  const sent = new Set(ledger.messages.map(({ id }) => id));
  for (const [id, text] of isQuarantined)
    found.check(sent.has(id), () => `no producer sent what is in quarantine: ${id} ${text}`);
}
