import { newId } from '../../shared/platform/ids/ids.ts';
import { fingerprintOf } from '../../shared/platform/call/idempotency-key.ts';
import type { Call } from '../../shared/platform/call/call.ts';
import type { Services } from '../../functions/services.ts';

/** What a call is made with. */
export interface CallGiven {
  readonly tenant: string;
  readonly route: string;
  readonly key?: string;
  /** What was asked, for the key's fingerprint. */
  readonly asked?: unknown;
  readonly now?: Date;
}

/** A call as the HTTP wrapper makes it, for what has no route in the app: a write in a table of the test's own. */
export async function makeCall(services: Services, given: CallGiven): Promise<Call> {
  const context = await services.tenants.find(given.tenant);
  if (context === null) throw new Error(`there is no tenant ${given.tenant}`);
  const databases = services.forTenant(given.tenant);
  return {
    services,
    principal: {
      tenantId: given.tenant,
      keyId: 'test',
      permissions: new Set(),
      rateLimitPerHour: 1_000,
      rateLimitPerDay: 1_000,
      expiresAt: null,
    },
    tenant: databases.core,
    databases,
    context,
    now: given.now ?? services.clock.now(),
    route: given.route,
    params: {},
    idempotency:
      given.key === undefined ? null : { key: given.key, fingerprint: fingerprintOf(given.asked ?? null) },
    origin: { traceId: newId().replaceAll('-', ''), ip: null, userAgent: null },
  };
}
