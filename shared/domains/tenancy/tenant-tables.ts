import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const tenancyTables: readonly TenantTable[] = [
  tenantTable('core', { table: 'tenant_configs', key: [] }),
  tenantTable('core', {
    table: 'tenants',
    key: [],
    onErasure: {
      keep: 'The id is never given again. The row says that the tenant is erased.',
      clear: { name: `'erased'` },
    },
  }),
];
