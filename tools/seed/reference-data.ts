import { seedDefaultTemplate } from '../../shared/domains/analysis/seed-template.ts';
import { seedTaxonomy } from '../../shared/domains/mapping/seed-taxonomy.ts';
import { seedRoutingDefaults } from '../../shared/domains/orchestration/seed-defaults.ts';
import { seedRoles } from '../../shared/domains/identity/roles/seed-roles.ts';
import { seedPlatformTenant } from '../../shared/domains/tenancy/seed-platform.ts';
import type { CrossTenantTransaction } from '../../shared/platform/db/tenant-database.ts';

/**
 * Writes the platform's tenant and what all tenants share: the taxonomy with its compliance mappings, and a routing plan, a
 * detector set and an analysis template named `default`. Existing rows stay, so that it can run again.
 */
export async function seedReferenceData(transaction: CrossTenantTransaction): Promise<void> {
  await seedPlatformTenant(transaction);
  await seedRoles(transaction);
  await seedTaxonomy(transaction);
  await seedRoutingDefaults(transaction);
  await seedDefaultTemplate(transaction);
}
