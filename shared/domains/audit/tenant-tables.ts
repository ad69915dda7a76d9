import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const auditTables: readonly TenantTable[] = [
  tenantTable('core', {
    table: 'audit_logs',
    key: ['created_at', 'id'],
    onErasure: { keep: 'The trail says what happened. Persons in it are replaced by pseudonyms.' },
  }),
];
