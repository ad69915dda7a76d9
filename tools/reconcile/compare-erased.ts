import { readErasedPeople, tenantsWithErasedPeople } from '../../shared/domains/erasure/person-tombstones.ts';
import {
  isErasureUndone,
  isPersonUndone,
  repeatErasure,
  repeatPersonErasure,
} from '../../shared/domains/erasure/repeat-erasure.ts';
import { readTombstones, tenantsWithTombstones } from '../../shared/domains/erasure/tombstones.ts';
import { destroyDataKeys, findLivingKeys } from '../../shared/platform/crypto/destroy-keys.ts';
import type { TenantRow } from '../../shared/domains/tenancy/list-tenants.ts';
import { ACTOR, type Scope } from './scope.ts';

/**
 * Finds data keys that were destroyed and that a restored core has again, by their tombstones in the blob storage. They are destroyed
 * again at once, before anything else: until then what they sealed can be opened. Their tenants are erased again, from the beginning,
 * where any restored database may have their rows.
 */
export async function compareErased(
  { services, findings, moments, mend, now }: Omit<Scope, 'tenants' | 'erased'>,
  tenants: readonly TenantRow[],
): Promise<void> {
  const { core } = services.crossTenant;
  const known = new Map(tenants.map((tenant) => [tenant.tenant_id, tenant]));
  const earliest = earliestOf(moments);
  for (const tenantId of await tenantsWithTombstones(services.blobs)) {
    const tenant = known.get(tenantId);
    // A core from before the tenant was made has nothing of it.
    if (tenant === undefined) continue;
    const tombstones = await readTombstones(services.blobs, tenantId);
    const ids = tombstones.map(({ key_id }) => key_id);
    const alive = await findLivingKeys(core, tenantId, ids);
    if (mend) await destroyDataKeys(core, tenantId, alive, now);
    findings.add(
      'key_undestroyed',
      tenantId,
      alive.map((keyId) => ({ key_id: keyId })),
      { mended: mend },
    );
    if (tenant.status === 'erased' && !(await isErasureUndone(core, tenantId, earliest))) continue;
    if (mend) await repeatErasure(core, tenantId, { actor: ACTOR, now });
    findings.add('erasure_undone', tenantId, [{ status: tenant.status }], { mended: mend });
  }
}

const earliestOf = (moments: Scope['moments']): Date =>
  new Date(Math.min(...Object.values(moments).map((moment) => moment.getTime())));

/**
 * Finds persons who were erased in a tenant after the moment of a restore, so that a restored database may have them again, by their
 * tombstones in the blob storage. Their erasure is requested again. Somebody with a role from after the tombstone joined the tenant
 * again: that one is only reported, whatever is mended.
 */
export async function compareErasedPeople({
  services,
  findings,
  moments,
  tenants,
  until,
  mend,
  now,
}: Scope): Promise<void> {
  const { core } = services.crossTenant;
  // An erased tenant's people are erased with it, and a core from before a tenant was made has nothing of it.
  const living = new Set(tenants.map(({ tenantId }) => tenantId));
  for (const tenantId of await tenantsWithErasedPeople(services.blobs)) {
    if (!living.has(tenantId)) continue;
    for (const tombstone of await readErasedPeople(services.blobs, tenantId, earliestOf(moments))) {
      const undone = await isPersonUndone(core, tombstone, until);
      if (undone.state === 'in_hand') continue;
      const { user_id, erasure_id, erased_at } = tombstone;
      const hasJoined = undone.state === 'joined_again';
      if (mend && !hasJoined) await repeatPersonErasure(core, tombstone, { actor: ACTOR, now });
      findings.add(
        hasJoined ? 'person_joined_again' : 'person_erasure_undone',
        tenantId,
        [{ user_id, erasure_id, erased_at, ...(hasJoined ? { joined_at: undone.since } : {}) }],
        { mended: mend && !hasJoined },
      );
    }
  }
}
