import { beforeAll, describe, expect, it } from 'vitest';
import { until } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { takeTour, type Stop } from './harness/tour.ts';

const { app } = await startBillingApp({ webhooks: false });

/** Reads of possible tenant content. They are audited like a write, and not metered, like all reads. */
const SOURCE_READS = new Set([
  'records-read-source',
  'platform-quarantine-read',
  'platform-billing-events-read',
]);
/** They change nothing of the caller's: a question that needs a body, and Stripe's own message. */
const NO_WRITES = new Set([
  'billing-subscription-change-preview',
  'promotional-codes-validate',
  'stripe-webhook',
]);
/** In two audit trails: the operator's, and the new tenant's. */
const TOLD_TWICE = 'platform-tenants-create';

let stops: readonly Stop[] = [];
let writes = new Set<string>();
interface Entry {
  readonly action: string;
  readonly outcome: string;
  readonly actor: string;
}
/** Audit entries by the request that caused them. */
const entries = new Map<string, Entry[]>();

/** The number of a request's writes. For a batch, its accepted items. */
function written({ operation, answer }: Stop): number {
  if (!writes.has(operation)) return 0;
  const { items } = answer.body as { items?: { outcome: string }[] };
  return answer.status === 207 ? (items ?? []).filter(({ outcome }) => outcome === 'created').length : 1;
}

/** The expected number of a request's audit entries. */
function audited(stop: Stop): number {
  if (SOURCE_READS.has(stop.operation)) return 1;
  return stop.operation === TOLD_TWICE ? 2 : written(stop);
}

/** Waits until all events are published and consumed. */
async function settle(): Promise<void> {
  await until(
    async () => {
      const outboxes = await Promise.all(
        Object.values(app.admin).map((database) => database`select count(*)::int as n from ops.outbox`),
      );
      const queued = Object.values(app.broker.queueCounts()).map(({ active, locked }) => active + locked);
      return [...outboxes.map(([row]) => Number(row?.['n'])), ...queued];
    },
    (waiting) => waiting.every((n) => n === 0),
    30,
  );
}

beforeAll(async () => {
  stops = await takeTour(app);
  const { body } = await app.request('GET', '/api/openapi.json');
  const paths = Object.values(body.paths as Record<string, Record<string, { operationId?: string }>>);
  writes = new Set(
    paths.flatMap((methods) =>
      Object.entries(methods).flatMap(([method, { operationId }]) =>
        method === 'get' || operationId === undefined || NO_WRITES.has(operationId) ? [] : [operationId],
      ),
    ),
  );
  await settle();
  const rows = await app.admin.core`
    select trace_id, action, outcome, actor from audit_logs where trace_id is not null`;
  for (const { trace_id: traceId, ...entry } of rows as unknown as (Entry & { trace_id: string })[])
    entries.set(traceId, [...(entries.get(traceId) ?? []), entry]);
});

const traceOf = ({ answer }: Stop): string => answer.headers.get('x-ms-request-id') ?? '';

describe('a request of every operation', () => {
  it('includes each that writes', () => {
    expect(writes.size).toBeGreaterThan(30);
    const seen = new Set(stops.map(({ operation }) => operation));
    expect([...writes].filter((operation) => !seen.has(operation))).toEqual([]);
  });

  it('has one audit entry for each write, and for each read of a source', () => {
    const found = stops.map((stop) => ({
      operation: stop.operation,
      entries: (entries.get(traceOf(stop)) ?? []).length,
    }));
    const expected = stops.map((stop) => ({ operation: stop.operation, entries: audited(stop) }));
    expect(found).toEqual(expected);
  });

  it('has audit entries that name the key', () => {
    const all = [...entries.values()].flat();
    expect(all.length).toBeGreaterThan(40);
    for (const entry of all) {
      expect(entry).toMatchObject({ actor: expect.stringMatching(/^key:/), outcome: 'success' });
      expect(entry.action).toMatch(/^[a-z_]+\.[a-z_]+$/);
    }
  });

  it('is one API call in the ledger for each write, and none for a read', async () => {
    const [ledger] = await app.admin.billing`
      select sum(usage_amount)::int as calls, count(*)::int as events from usage_records
       where usage_type = 'api_calls' and tenant_id in ('acme', 'platform')`;
    const expected = stops.reduce((sum, stop) => sum + written(stop), 0);
    expect(ledger).toMatchObject({ calls: expected, events: expected });
  });

  it('causes no event that cannot be processed', async () => {
    const unreadable = await app.admin
      .core`select queue, reason from ops.quarantine where reason <> 'NOT_JSON'`;
    expect(unreadable).toEqual([]);
    const dead = Object.values(app.broker.queueCounts()).map(({ deadLettered }) => deadLettered);
    expect(new Set(dead)).toEqual(new Set([0]));
  });
});
