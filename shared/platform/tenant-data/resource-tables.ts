import { databaseOf, type Resource } from '../resources/resource.ts';
import { tenantTable, type TenantTable } from './tenant-table.ts';

/**
 * The tables of declared resources that have tenants' rows, unless `declared` has them. Their public id is their key. All is
 * exported, and deleted with the tenant.
 */
export function tablesOfResources(
  resources: readonly Resource[],
  declared: readonly TenantTable[],
): readonly TenantTable[] {
  return resources
    .filter(({ scope }) => scope !== 'platform')
    .map((resource) =>
      tenantTable(databaseOf(resource), {
        table: resource.table,
        key: [resource.idColumn],
        ...(resource.person === undefined ? {} : { person: resource.person }),
      }),
    )
    .filter(({ database, table }) => !declared.some((d) => d.database === database && d.table === table));
}
