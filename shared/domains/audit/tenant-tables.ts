import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const auditTables: readonly TenantTable[] = [
  tenantTable('core', {
    table: 'audit_logs',
    key: ['created_at', 'id'],
    person: { actor: 'trail', user_id: 'trail', resource_id: 'trail', details: 'trail', user_agent: 'trail' },
    onErasure: { keep: 'The trail says what happened. Persons in it are replaced by pseudonyms.' },
  }),
];
