import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import type { CallServices } from '../../platform/call/call.ts';
import type { DataKey } from '../../platform/crypto/data-keys.ts';

/** The platform's own data key, made when it is first needed. It seals what belongs to a person, and so to no tenant. */
export async function platformDataKey(
  services: Pick<CallServices, 'crossTenant' | 'dataKeys' | 'tenants'>,
): Promise<DataKey> {
  const known = (await services.tenants.find(PLATFORM_TENANT))?.dataKeyId ?? (await makeKey(services));
  return services.dataKeys.find(PLATFORM_TENANT, known);
}

async function makeKey({
  crossTenant,
  dataKeys,
  tenants,
}: Pick<CallServices, 'crossTenant' | 'dataKeys' | 'tenants'>): Promise<string> {
  const keyId = await crossTenant.core.transaction(async (transaction) => {
    // Locked, so that of two who need it first, one makes it.
    const [row] = await transaction.query<{ data_key_id: string | null }>(
      `select data_key_id from tenants where tenant_id = $1 for update`,
      [PLATFORM_TENANT],
    );
    if (row === undefined) throw new Error('the platform has no tenant');
    if (row.data_key_id !== null) return row.data_key_id;
    const made = await dataKeys.create(transaction, PLATFORM_TENANT);
    await transaction.query(`update tenants set data_key_id = $2 where tenant_id = $1`, [
      PLATFORM_TENANT,
      made,
    ]);
    return made;
  });
  tenants.forget(PLATFORM_TENANT);
  return keyId;
}
