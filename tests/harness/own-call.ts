import { newId } from '../../shared/platform/ids/ids.ts';
import { fingerprintOf } from '../../shared/platform/call/idempotency-key.ts';
import type { Call } from '../../shared/platform/call/call.ts';
import type { Services } from '../../functions/services.ts';

/** The inputs of a call. */
export interface CallGiven {
  readonly tenant: string;
  readonly route: string;
  readonly key?: string;
  /** The request, for the key's fingerprint. */
  readonly asked?: unknown;
  readonly now?: Date;
}

/** Makes a call like the HTTP wrapper does, for code without a route: writes to a test's own table. */
export async function makeCall(services: Services, given: CallGiven): Promise<Call> {
  const context = await services.tenants.find(given.tenant);
  if (context === null) throw new Error(`there is no tenant ${given.tenant}`);
  const databases = services.forTenant(given.tenant);
  return {
    services,
    principal: {
      tenantId: given.tenant,
      kind: 'key',
      actor: 'key:test',
      credentialId: 'test',
      userId: null,
      makerId: null,
      sessionId: null,
      roles: [],
      permissions: new Set(),
      permissionsUntil: null,
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
