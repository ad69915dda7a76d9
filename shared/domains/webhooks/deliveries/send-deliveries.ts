import { inParallel } from '../../../platform/blob/in-parallel.ts';
import {
  WEBHOOK_DELIVERY_DUE,
  webhookDeliveryDueData,
  type WebhookDeliveryDueData,
} from '../../../platform/bus/events.ts';
import type { ConsumeServices, TenantlessConsumer } from '../../../platform/consume/event-consumer.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import {
  attemptDelivery,
  STATUS_WITHOUT_REQUEST,
  type AttemptOptions,
  type AttemptOutcome,
} from './attempt.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { backoffMs, quietMs } from './backoff.ts';
import { claimDelivery, type DeliveryAttempt } from './claim-delivery.ts';
import { recordAttempt } from './record-attempt.ts';

/** A message names a row, and rows are kept for 30 days. */
const MAX_AGE_DAYS = 30;

/** Endpoints at once, and requests to one of them: a tenant's receiver is not flooded, and a slow one has one place of sixteen. */
const ENDPOINTS_AT_ONCE = 16;
const REQUESTS_AT_ONCE = 4;

/**
 * After so many failures one after the other, the endpoint's other deliveries of the batch wait: each would take as long to fail. So
 * an endpoint that is down delays no other.
 */
const FAILURES_MAX = 3;

/**
 * For so long this process then asks the endpoint nothing, nor one that alone took the time of a batch: a batch may have many parts,
 * and each would take as long. So an endpoint that is down takes the time of a few requests once a minute, however much waits for it.
 */
const QUIET_MS = MINUTE_MS;
/** The most endpoints that are quiet. One more, and all are asked again. */
const QUIET_MAX = 10_000;

/** Until when endpoints are asked nothing, on the monotonic clock. */
const quietUntil = new Map<string, number>();

/** No other delivery is begun after this time: a batch may have several parts like this one, and its locks last five minutes. */
const BUDGET_MS = 30_000;

/** Sends deliveries that are due. A failure is in the row, which says when it is tried again: so its message is done. */
export function deliveriesConsumerWith(options: AttemptOptions): TenantlessConsumer<WebhookDeliveryDueData> {
  return {
    // A tenant that is erased meanwhile must not fill the quarantine: its deliveries are cancelled.
    tenantless: true,
    type: WEBHOOK_DELIVERY_DUE,
    schema: webhookDeliveryDueData,
    maxAgeDays: MAX_AGE_DAYS,
    async write(services, events, now, tally) {
      const attempts = new Map(
        events.map(({ data }) => [`${data.tenant_id} ${data.delivery_id} ${data.attempt}`, data]),
      );
      const sent = await sendDeliveries(services, [...attempts.values()], now, options);
      if (tally !== undefined) tally.duplicates = events.length - sent;
    },
  };
}

/** The consumer of the queue `webhook-deliveries`. */
export const deliveriesConsumer = deliveriesConsumerWith({});

interface WaitingDelivery extends DeliveryAttempt {
  readonly [column: string]: unknown;
  readonly endpoint_id: string;
  readonly failing_since: string | null;
  readonly version: number | null;
}

const ATTEMPTS = recordset({ tenant_id: 'text', delivery_id: 'uuid', attempt: 'int' });

/** Those that still wait for their attempt. The others were duplicates. */
function findWaiting(
  { crossTenant }: ConsumeServices,
  attempts: readonly DeliveryAttempt[],
): Promise<WaitingDelivery[]> {
  return inBatch(crossTenant.core, (transaction) =>
    transaction.query<WaitingDelivery>(
      `select a.tenant_id, a.delivery_id, a.attempt, d.endpoint_id,
              e.failing_since, e.version
         from ${ATTEMPTS.from('a', 1)}
        cross join lateral (
          select * from ops.webhook_deliveries w
           where w.tenant_id = a.tenant_id and w.delivery_id = a.delivery_id offset 0) d
         left join lateral (
          select failing_since, version from ops.webhook_endpoints o
           where o.tenant_id = a.tenant_id and o.endpoint_id = d.endpoint_id offset 0) e on true
        where d.status = 'pending' and d.attempts = a.attempt`,
      ATTEMPTS.parameters(attempts),
    ),
  );
}

/** Returns how many deliveries waited for one of these attempts. */
async function sendDeliveries(
  services: ConsumeServices,
  attempts: readonly DeliveryAttempt[],
  now: Date,
  options: AttemptOptions,
): Promise<number> {
  const until = performance.now() + BUDGET_MS;
  const waiting = await findWaiting(services, attempts);
  const later: WaitingDelivery[] = [];
  await inParallel(inTurns(waiting), ENDPOINTS_AT_ONCE, async (deliveries) => {
    const name = nameOf(deliveries);
    if ((quietUntil.get(name) ?? 0) > performance.now()) {
      later.push(...deliveries);
      return;
    }
    const begun = performance.now();
    let failures = 0;
    await inParallel(deliveries, REQUESTS_AT_ONCE, async (delivery) => {
      if (failures >= FAILURES_MAX || performance.now() > until) {
        later.push(delivery);
        return;
      }
      const outcome = await sendOne(services, delivery, options);
      if (outcome !== undefined) failures = isHealthy(outcome) ? 0 : failures + 1;
    });
    if (failures < FAILURES_MAX && performance.now() - begun < BUDGET_MS) return;
    if (quietUntil.size >= QUIET_MAX) quietUntil.clear();
    quietUntil.set(name, performance.now() + QUIET_MS);
  });
  await putBack(services, later, now);
  return waiting.length;
}

/**
 * The deliveries of each endpoint, in the order in which the endpoints have their turns: a tenant's second endpoint comes after the
 * first one of every tenant, and those that fail come last. So no tenant takes all places with endpoints that do not answer.
 */
function inTurns(waiting: readonly WaitingDelivery[]): WaitingDelivery[][] {
  const tenants = new Map<string, Map<string, WaitingDelivery[]>>();
  for (const delivery of waiting) {
    const { tenant_id: tenantId, endpoint_id: endpointId } = delivery;
    const endpoints = tenants.get(tenantId) ?? new Map<string, WaitingDelivery[]>();
    tenants.set(tenantId, endpoints.set(endpointId, [...(endpoints.get(endpointId) ?? []), delivery]));
  }
  const turns = [...tenants.values()].flatMap((endpoints) =>
    [...endpoints.values()].map((deliveries, turn) => ({ deliveries, turn })),
  );
  const isFailing = ({ deliveries }: (typeof turns)[number]) => deliveries[0]?.failing_since != null;
  return turns
    .toSorted((a, b) => Number(isFailing(a)) - Number(isFailing(b)) || a.turn - b.turn)
    .map(({ deliveries }) => deliveries);
}

/** With its version: one that was changed is asked at once. */
const nameOf = ([first]: readonly WaitingDelivery[]): string =>
  `${first?.tenant_id} ${first?.endpoint_id} ${first?.version}`;

/** Undefined if another process has the attempt. */
async function sendOne(
  services: ConsumeServices,
  attempt: DeliveryAttempt,
  options: AttemptOptions,
): Promise<AttemptOutcome | undefined> {
  const claimed = await claimDelivery(services.crossTenant.core, attempt, services.clock.now());
  if (claimed === undefined) return undefined;
  const result = await attemptDelivery(services, claimed, options);
  await recordAttempt(services, claimed, result, services.clock.now());
  return result.outcome;
}

/** Outcomes that cost no waiting for the receiver. */
function isHealthy(outcome: AttemptOutcome): boolean {
  return outcome === 'delivered' || STATUS_WITHOUT_REQUEST[outcome] !== undefined;
}

/** Deliveries without an attempt are queued again by the timer. An attempt that is not made does not count. */
async function putBack(
  { crossTenant }: ConsumeServices,
  deliveries: readonly WaitingDelivery[],
  now: Date,
): Promise<void> {
  if (deliveries.length === 0) return;
  const at = ({ attempt, failing_since: since }: WaitingDelivery) =>
    new Date(now.getTime() + Math.max(quietMs(since, now), backoffMs(attempt + 1)));
  const rows = deliveries.map((one) => ({ ...one, next_attempt_at: at(one) }));
  const ordered = rows.toSorted((a, b) => (a.delivery_id < b.delivery_id ? -1 : 1));
  await inBatch(crossTenant.core, (transaction) =>
    transaction.query(
      `update ops.webhook_deliveries d set next_attempt_at = l.next_attempt_at from ${LATER.from('l', 1)}
        where d.tenant_id = l.tenant_id and d.delivery_id = l.delivery_id and d.attempts = l.attempt
          and coalesce(d.status, '') = 'pending'`,
      LATER.parameters(ordered),
    ),
  );
}

const LATER = recordset({
  tenant_id: 'text',
  delivery_id: 'uuid',
  attempt: 'int',
  next_attempt_at: 'timestamptz',
});
