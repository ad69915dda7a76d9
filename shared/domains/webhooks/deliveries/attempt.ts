import type { ConsumeServices } from '../../../platform/consume/event-consumer.ts';
import { DataKeyDestroyed } from '../../../platform/crypto/data-keys.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { postOnce, type PostFailure, type PostResult } from '../../../platform/outbound/post-once.ts';
import type { Resolve } from '../../../platform/outbound/checked-lookup.ts';
import { outboundRules } from '../../../platform/outbound/target-url.ts';
import { openSecret } from '../endpoints/secret.ts';
import { isTold } from '../facts/told-tenants.ts';
import type { ClaimedDelivery } from './claim-delivery.ts';

/** Long enough for a receiver that only stores the message, as it should, and short enough that it holds nobody up. */
const TIMEOUT_MS = 10_000;

/** How a request that was made ended. */
type AnswerOutcome = 'delivered' | 'redirected' | 'client_error' | 'server_error' | 'gone';

/** What became of an attempt. `not_sent`: a fault of this service, which tries again. */
export type AttemptOutcome =
  AnswerOutcome | PostFailure | 'not_sent' | 'endpoint_disabled' | 'endpoint_deleted' | 'tenant_inactive';

/** What becomes of a delivery for which nobody is to be asked any more, by the outcome that says so. */
export const STATUS_WITHOUT_REQUEST: Readonly<Partial<Record<AttemptOutcome, 'failed' | 'cancelled'>>> = {
  endpoint_disabled: 'failed',
  endpoint_deleted: 'cancelled',
  tenant_inactive: 'cancelled',
};

/** The end of an attempt. */
export interface AttemptResult {
  readonly outcome: AttemptOutcome;
  /** The answer's status; null if there was none. */
  readonly status: number | null;
}

/** What differs in tests: how names are looked up, and how long an answer may take. */
export interface AttemptOptions {
  readonly resolve?: Resolve;
  readonly timeoutMs?: number;
}

const without = (outcome: AttemptOutcome): AttemptResult => ({ outcome, status: null });

/** Sends a claimed delivery, if its tenant and its endpoint still are to be told. Never throws what only this delivery concerns. */
export async function attemptDelivery(
  services: ConsumeServices,
  delivery: ClaimedDelivery,
  options: AttemptOptions,
): Promise<AttemptResult> {
  const { tenant_id: tenantId, url } = delivery;
  const tenant = await services.tenants.find(tenantId);
  if (tenant === null || !isTold(tenant.status)) return without('tenant_inactive');
  if (url === null) return without('endpoint_deleted');
  if (delivery.is_active !== true) return without('endpoint_disabled');
  try {
    const secrets = await secretsOf(services, delivery);
    return resultOf(await send(services, delivery, url, secrets, options));
  } catch (error) {
    if (error instanceof DataKeyDestroyed) return without('tenant_inactive');
    log.error('webhook-not-sent', { tenant_id: tenantId, ...errorFields(error) });
    return without('not_sent');
  }
}

/** The endpoint's secret, and during an overlap the one before. */
async function secretsOf(services: ConsumeServices, delivery: ClaimedDelivery): Promise<string[]> {
  const of = { tenantId: delivery.tenant_id, endpointId: delivery.endpoint_id };
  const sealed = [
    { sealed: delivery.secret, keyId: delivery.secret_key_id },
    { sealed: delivery.old_secret, keyId: delivery.old_secret_key_id },
  ];
  const secrets: string[] = [];
  for (const one of sealed)
    if (one.sealed !== null && one.keyId !== null)
      secrets.push(await openSecret(services.dataKeys, of, { sealed: one.sealed, keyId: one.keyId }));
  return secrets;
}

/** The time of a message is that of its attempt. */
async function send(
  services: ConsumeServices,
  { event_id: id, payload }: ClaimedDelivery,
  url: string,
  secrets: readonly string[],
  { resolve, timeoutMs = TIMEOUT_MS }: AttemptOptions,
): Promise<PostResult> {
  const { signatureHeader } = await import('./sign.ts');
  const at = services.clock.now();
  return postOnce({
    url,
    body: payload,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'comply-ai-webhooks/1',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': signatureHeader(secrets, { id, at, body: payload }),
    },
    timeoutMs,
    rules: outboundRules(services.settings),
    ...(resolve === undefined ? {} : { resolve }),
  });
}

function resultOf(result: PostResult): AttemptResult {
  return 'failure' in result
    ? without(result.failure)
    : { outcome: outcomeOf(result.status), status: result.status };
}

function outcomeOf(status: number): AnswerOutcome {
  if (status >= 200 && status < 300) return 'delivered';
  if (status === 410) return 'gone';
  if (status >= 500) return 'server_error';
  return status >= 400 ? 'client_error' : 'redirected';
}
