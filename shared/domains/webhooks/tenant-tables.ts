import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const webhooksTables: readonly TenantTable[] = [
  tenantTable('core', { table: 'ops.webhook_deliveries', key: ['delivery_id'] }),
  tenantTable('core', {
    table: 'ops.webhook_endpoints',
    person: { created_by: 'pseudonym' },
    key: ['endpoint_id'],
    // Sealed, and only for signatures.
    export: {
      leaveOut: ['secret', 'secret_key_id', 'old_secret', 'old_secret_key_id', 'old_secret_expires_at'],
    },
  }),
];
