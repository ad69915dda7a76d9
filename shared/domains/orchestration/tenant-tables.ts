import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

/** What belongs to a request comes before it, so that an erased request takes few rows with it. */
export const orchestrationTables: readonly TenantTable[] = [
  tenantTable('core', { table: 'detector_results', key: ['request_id', 'detector', 'attempt'] }),
  tenantTable('core', {
    table: 'orchestration_responses',
    key: ['request_id'],
    // Only compares a repeated response with this one.
    export: { leaveOut: ['fingerprint'] },
  }),
  tenantTable('core', {
    table: 'orchestration_requests',
    person: { user_id: 'pseudonym' },
    key: ['request_id'],
    export: {
      // Keyed with a data key; only compares repeated content with this.
      leaveOut: ['content_mac'],
      sealed: [{ column: 'content', keyId: 'encryption_key_id', boundTo: 'request_id' }],
    },
  }),
];
