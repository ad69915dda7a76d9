import type { Call } from '../../../platform/call/call.ts';
import type { Fault } from '../../../platform/call/problem.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { outboundRules, targetFault } from '../../../platform/outbound/target-url.ts';
import type { Callback } from '../schemas.ts';
import { updateEndpoint } from './endpoints.ts';
import { insertEndpoint } from './insert-endpoint.ts';

/** The faults of a callback that its text alone does not tell. */
export function faultsOfCallback(call: Call, callback: Callback | null): Fault[] {
  if (callback === null) return [];
  const detail = targetFault(outboundRules(call.services.settings), callback.url);
  return detail === undefined ? [] : [{ pointer: '/config_data/callback/url', detail }];
}

/**
 * Makes the endpoint that the tenant's settings manage what they say, in their transaction; null deletes it. Its secret is made
 * with it, and the rotation of the secret shows one. An endpoint that was disabled is tried again.
 * @throws Problem 409 for one endpoint too many.
 */
export async function keepManagedEndpoint(
  call: Call,
  transaction: TenantTransaction,
  callback: Callback | null,
): Promise<void> {
  const { tenantId } = call.tenant;
  if (callback === null) {
    await transaction.query(
      `delete from ops.webhook_endpoints where tenant_id = $1 and managed_by = 'tenant_config'`,
      [tenantId],
    );
    return;
  }
  const body = { ...callback, description: null, is_active: true };
  const [found] = await transaction.query<{ endpoint_id: string }>(
    `select endpoint_id from ops.webhook_endpoints where tenant_id = $1 and managed_by = 'tenant_config' for update`,
    [tenantId],
  );
  if (found === undefined) await insertEndpoint(call, transaction, body, 'tenant_config');
  else await updateEndpoint(call, transaction, found.endpoint_id, body);
}
