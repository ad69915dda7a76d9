import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import type { DataKey } from '../../platform/crypto/data-keys.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';

/**
 * The key that seals the calling tenant's content.
 * @throws Problem 409 for the platform's own tenant, which stores no content.
 */
export async function dataKeyOf(call: Call): Promise<DataKey> {
  if (call.context.dataKeyId === null || call.principal.tenantId === PLATFORM_TENANT)
    throw new Problem('CONFLICT', { detail: 'This tenant stores no content.' });
  return call.services.dataKeys.find(call.principal.tenantId, call.context.dataKeyId);
}
