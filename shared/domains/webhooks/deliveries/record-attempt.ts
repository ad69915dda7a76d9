import type { ConsumeServices } from '../../../platform/consume/event-consumer.ts';
import {
  AUDIT_RECORDED,
  newEvent,
  WEBHOOK_ENDPOINT_DISABLED,
  type AuditData,
  type CloudEvent,
  type EndpointDisabledData,
} from '../../../platform/bus/events.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { log } from '../../../platform/log/log.ts';
import { count } from '../../../platform/telemetry/metrics.ts';
import { addToOutbox, newEntry } from '../../../platform/writes/outbox.ts';
import { addressesOfOwners } from '../../identity/people/keepers.ts';
import { ENDPOINT_AUDIT_TYPE } from '../endpoints/endpoint-row.ts';
import { STATUS_WITHOUT_REQUEST, type AttemptResult } from './attempt.ts';
import { GIVE_UP_MS, nextAttemptAt } from './backoff.ts';
import { CLAIM_MS, type ClaimedDelivery } from './claim-delivery.ts';

/** The actor in the audit trail. */
const ACTOR = 'service:webhook-deliveries';

type DisabledReason = 'failing' | 'gone';

/** Writes down what became of an attempt. If it does not get here, the claim runs out and the delivery is sent again. */
export async function recordAttempt(
  services: Pick<ConsumeServices, 'crossTenant' | 'publisher'>,
  delivery: ClaimedDelivery,
  result: AttemptResult,
  now: Date,
): Promise<void> {
  count('webhook_attempts_total', { outcome: result.outcome });
  if (result.outcome === 'delivered') return recordSuccess(services, delivery, result, now);
  const status = STATUS_WITHOUT_REQUEST[result.outcome];
  if (status === undefined) return recordFailure(services, delivery, result, now);
  await services.crossTenant.core.transaction((transaction) =>
    settle(transaction, delivery, result, { status }),
  );
}

/** An endpoint's row is not written for each of its successes, but once a minute. */
const SUCCESS_TOLD_EVERY = '1 minute';

async function recordSuccess(
  { crossTenant }: Pick<ConsumeServices, 'crossTenant'>,
  { tenant_id: tenantId, delivery_id: deliveryId, endpoint_id: endpointId, attempts }: ClaimedDelivery,
  { status }: AttemptResult,
  now: Date,
): Promise<void> {
  await crossTenant.core.query(
    `with endpoint as (
       update ops.webhook_endpoints set last_success_at = $5, failing_since = null
        where tenant_id = $1 and endpoint_id = $3
          and (failing_since is not null or last_success_at is null or last_success_at < $5 - interval '${SUCCESS_TOLD_EVERY}'))
     update ops.webhook_deliveries
        set status = 'delivered', outcome = 'delivered', response_status = $6, delivered_at = $5, next_attempt_at = null
      where tenant_id = $1 and delivery_id = $2 and attempts = $4 and coalesce(status, '') = 'pending'`,
    [tenantId, deliveryId, endpointId, attempts, now, status],
    { short: true },
  );
}

/** How a delivery goes on, or ends. */
type Settlement =
  { readonly status: 'failed' | 'cancelled' } | { readonly status: 'pending'; readonly next: Date };

/** Not if another attempt was made meanwhile: then that one tells. */
async function settle(
  transaction: CrossTenantTransaction,
  { tenant_id: tenantId, delivery_id: deliveryId, attempts }: ClaimedDelivery,
  { outcome, status }: AttemptResult,
  settlement: Settlement,
): Promise<void> {
  await transaction.query(
    `update ops.webhook_deliveries set status = $4, outcome = $5, response_status = $6, next_attempt_at = $7
      where tenant_id = $1 and delivery_id = $2 and attempts = $3 and coalesce(status, '') = 'pending'`,
    [
      tenantId,
      deliveryId,
      attempts,
      settlement.status,
      outcome,
      status,
      settlement.status === 'pending' ? settlement.next : null,
    ],
  );
}

async function recordFailure(
  services: Pick<ConsumeServices, 'crossTenant' | 'publisher'>,
  delivery: ClaimedDelivery,
  result: AttemptResult,
  now: Date,
): Promise<void> {
  const giveUpAt = new Date(delivery.give_up_at);
  const entries = await services.crossTenant.core.transaction(async (transaction) => {
    const reason = await disabledReason(transaction, delivery, result, now);
    const entry = reason === undefined ? undefined : await disable(transaction, delivery, reason, now);
    await settle(
      transaction,
      delivery,
      result,
      reason !== undefined || now >= giveUpAt
        ? { status: 'failed' }
        : { status: 'pending', next: nextAttemptAt(delivery.attempts, giveUpAt, now) },
    );
    return entry === undefined ? [] : [entry];
  });
  for (const entry of entries) services.publisher.publish(entry);
}

/**
 * Why the endpoint is to be disabled; undefined if it is not. A fault of this service says nothing about the endpoint, nor does an
 * answer of the address that it had before. Only a delivery whose own 24 hours are over can say that it fails: an earlier failure may be
 * long ago, with nothing sent since. An endpoint that accepted anything within them stays: then only the one delivery fails.
 */
async function disabledReason(
  transaction: CrossTenantTransaction,
  { tenant_id: tenantId, endpoint_id: endpointId, url, give_up_at: giveUpAt }: ClaimedDelivery,
  { outcome }: AttemptResult,
  now: Date,
): Promise<DisabledReason | undefined> {
  if (outcome === 'not_sent') return undefined;
  const [endpoint] = await transaction.query<{ failing_since: string }>(
    `update ops.webhook_endpoints set failing_since = coalesce(failing_since, $3)
      where tenant_id = $1 and endpoint_id = $2 and url = $4 returning failing_since`,
    [tenantId, endpointId, now, url],
  );
  if (endpoint === undefined) return undefined;
  if (outcome === 'gone') return 'gone';
  const endMs = Date.parse(giveUpAt);
  const failsSinceTheFirst = Date.parse(endpoint.failing_since) <= endMs - GIVE_UP_MS + CLAIM_MS;
  return now.getTime() >= endMs && failsSinceTheFirst ? 'failing' : undefined;
}

/** Switches an endpoint off, once, and tells its tenant: in the audit trail, at the tenant's other endpoints, and its owners by e-mail. */
async function disable(
  transaction: CrossTenantTransaction,
  { tenant_id: tenantId, endpoint_id: endpointId }: ClaimedDelivery,
  reason: DisabledReason,
  now: Date,
): Promise<OutboxEntry | undefined> {
  const [row] = await transaction.query<{ failing_since: string | null }>(
    `update ops.webhook_endpoints
        set is_active = false, disabled_reason = $3, disabled_at = $4, updated_at = $4, version = version + 1
      where tenant_id = $1 and endpoint_id = $2 and is_active returning failing_since`,
    [tenantId, endpointId, reason, now],
  );
  if (row === undefined) return undefined;
  log.warn('webhook-endpoint-disabled', { tenant_id: tenantId, endpoint_id: endpointId, reason });
  count('webhook_endpoints_disabled_total', { reason });
  const data: AuditData = {
    tenant_id: tenantId,
    actor: ACTOR,
    action: 'webhook_endpoint.disabled',
    resource_type: ENDPOINT_AUDIT_TYPE,
    resource_id: endpointId,
    outcome: 'success',
    details: { reason, failing_since: row.failing_since },
  };
  const mails = (await addressesOfOwners(transaction, tenantId)).map((email) =>
    mailOf(
      { tenant_id: tenantId, email, endpoint_id: endpointId, reason, disabled_at: now.toISOString() },
      now,
    ),
  );
  const entry = newEntry('core', tenantId, [newEvent(AUDIT_RECORDED, data, now), ...mails], now);
  await addToOutbox(transaction, [entry]);
  return entry;
}

/** What the sender of mails needs. A tenant with one endpoint hears of it in no other way. */
function mailOf(data: EndpointDisabledData, now: Date): CloudEvent<EndpointDisabledData> {
  return newEvent(WEBHOOK_ENDPOINT_DISABLED, data, now);
}
