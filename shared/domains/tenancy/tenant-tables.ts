import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const tenancyTables: readonly TenantTable[] = [
  tenantTable('core', {
    table: 'ops.tenant_export_files',
    key: ['export_id', 'name'],
    export: { not: 'The files of exports. Each export has a manifest.' },
  }),
  tenantTable('core', {
    table: 'ops.tenant_exports',
    key: ['export_id'],
    person: { requested_by: 'pseudonym' },
    export: { not: 'The exports themselves.' },
    onErasure: { keep: 'The job deletes the containers by it.', clear: { requested_by: `''` } },
  }),
  tenantTable('core', { table: 'tenant_configs', key: [] }),
  tenantTable('core', {
    table: 'tenants',
    key: [],
    onErasure: {
      keep: 'The id is never given again. The row says that the tenant is erased.',
      clear: { name: `'erased'`, status_reason: 'null' },
    },
  }),
];
