import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { GIVE_UP_MS } from './backoff.ts';

/**
 * How long an attempt may take before the delivery is tried again: a process that dies between sending and recording leaves the
 * delivery claimed. Several times longer than an attempt's timeout.
 */
export const CLAIM_MS = 2 * MINUTE_MS;

/** One attempt of a delivery. */
export interface DeliveryAttempt {
  readonly tenant_id: string;
  readonly delivery_id: string;
  /** The attempts before this one. */
  readonly attempt: number;
}

/** A claimed delivery with its endpoint, whose columns are null if it was deleted. */
export interface ClaimedDelivery {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly delivery_id: string;
  readonly endpoint_id: string;
  readonly event_id: string;
  readonly payload: string;
  readonly attempts: number;
  readonly give_up_at: string;
  readonly url: string | null;
  readonly is_active: boolean | null;
  readonly secret: Buffer | null;
  readonly secret_key_id: string | null;
  readonly old_secret: Buffer | null;
  readonly old_secret_key_id: string | null;
}

/**
 * Claims one attempt. Undefined if another message had it already, or the delivery does not wait any more: so of any number of
 * messages and processes, one makes each attempt.
 */
export async function claimDelivery(
  core: CrossTenantDatabase,
  { tenant_id: tenantId, delivery_id: deliveryId, attempt }: DeliveryAttempt,
  now: Date,
): Promise<ClaimedDelivery | undefined> {
  const [row] = await core.query<ClaimedDelivery>(
    `with claimed as (
       update ops.webhook_deliveries
          set attempts = attempts + 1, last_attempt_at = $4, next_attempt_at = $5, give_up_at = coalesce(give_up_at, $6)
        where tenant_id = $1 and delivery_id = $2 and attempts = $3 and coalesce(status, '') = 'pending'
       returning tenant_id, delivery_id, endpoint_id, event_id, payload, attempts, give_up_at)
     select c.*, e.url, e.is_active, e.secret, e.secret_key_id,
            case when e.old_secret_expires_at > $4 then e.old_secret end as old_secret, e.old_secret_key_id
       from claimed c left join ops.webhook_endpoints e on e.tenant_id = $1 and e.endpoint_id = c.endpoint_id`,
    [
      tenantId,
      deliveryId,
      attempt,
      now,
      new Date(now.getTime() + CLAIM_MS),
      new Date(now.getTime() + GIVE_UP_MS),
    ],
    { short: true },
  );
  return row;
}
