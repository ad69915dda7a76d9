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
/**
 * They change nothing of the caller's: a question that needs a body, Stripe's own message, and a mail to an address that is verified
 * already.
 */
const NO_WRITES = new Set([
  'billing-subscription-change-preview',
  'promotional-codes-validate',
  'stripe-webhook',
  'auth-email-verifications-create',
]);
/** In two audit trails: the platform's and the tenant's, or that of a person's tenant. */
const TOLD_TWICE = new Set([
  'platform-tenants-create',
  'platform-tenants-suspend',
  'platform-tenants-reactivate',
  'platform-tenants-offboarding-create',
  'platform-tenants-offboarding-undo',
  'platform-tenant-erasure-request',
  'platform-data-keys-rotate',
  'platform-legal-holds-create',
  'platform-legal-holds-release',
  'platform-users-deactivate',
  'platform-users-reactivate',
  'platform-users-unlock',
  'tenant-offboarding-create',
  'tenant-offboarding-undo',
]);

let stops: readonly Stop[] = [];
let writes = new Set<string>();
/** Nobody's calls yet: a sign-in, an invitation's acceptance. They are metered for nobody. */
let publics = new Set<string>();
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
  return TOLD_TWICE.has(stop.operation) ? 2 : written(stop);
}

/** Waits until all events are published and consumed. */
async function settle(): Promise<void> {
  await until(
    async () => {
      const outboxes = await Promise.all(
        Object.values(app.admin).map((database) => database`select count(*)::int as n from ops.outbox`),
      );
      const counts = Object.entries(app.broker.queueCounts());
      // The sender of mails reads that one.
      const ours = counts.flatMap(([queue, count]) => (queue === 'notifications' ? [] : [count]));
      const queued = ours.map(({ active, locked }) => active + locked);
      return [...outboxes.map(([row]) => Number(row?.['n'])), ...queued];
    },
    (waiting) => waiting.every((n) => n === 0),
    30,
  );
}

beforeAll(async () => {
  stops = await takeTour(app);
  const { body } = await app.request('GET', '/api/openapi.json');
  const paths = Object.values(
    body.paths as Record<string, Record<string, { operationId?: string; security?: unknown[] }>>,
  );
  writes = new Set(
    paths.flatMap((methods) =>
      Object.entries(methods).flatMap(([method, { operationId }]) =>
        method === 'get' || operationId === undefined || NO_WRITES.has(operationId) ? [] : [operationId],
      ),
    ),
  );
  publics = new Set(
    paths.flatMap((methods) =>
      Object.values(methods).flatMap(({ operationId = '', security }) =>
        security?.length === 0 ? [operationId] : [],
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

  it('has audit entries that name the key or the person', () => {
    const all = [...entries.values()].flat();
    expect(all.length).toBeGreaterThan(40);
    for (const entry of all) {
      expect(entry).toMatchObject({ actor: expect.stringMatching(/^(key|user):/), outcome: 'success' });
      expect(entry.action).toMatch(/^[a-z_]+\.[a-z_]+$/);
    }
  });

  it('is one API call in the ledger for each write, and none for a read', async () => {
    const [ledger] = await app.admin.billing`
      select sum(usage_amount)::int as calls, count(*)::int as events from usage_records
       where usage_type = 'api_calls' and tenant_id in ('acme', 'platform')`;
    const metered = stops.filter(({ operation }) => !publics.has(operation));
    const expected = metered.reduce((sum, stop) => sum + written(stop), 0);
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
