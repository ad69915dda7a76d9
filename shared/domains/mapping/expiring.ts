import { recordOfMappingStays } from '../records/expiring.ts';
import type { ExpiringTable } from '../retention/expiring-table.ts';

/** How mappings expire: with their response, and not before the record that they led to. */
export const expiringMappings: ExpiringTable = {
  table: 'mapper_requests',
  idColumn: 'request_id',
  dataType: 'mappings',
  // Its record too: who holds a record holds what it was made from.
  holdIds: `ops.mapping_ids(t.tenant_id, t.request_id) || (
    select m.record_id from mapper_responses m where m.tenant_id = t.tenant_id and m.request_id = t.request_id)`,
  named: [
    'select true from mapper_requests m where m.tenant_id = $1 and m.request_id = w.id',
    'select true from mapper_requests m where m.tenant_id = $1 and m.orchestration_request_id = w.id',
  ],
  stays: [
    {
      fate: 'needed',
      when: `coalesce((
        select ${recordOfMappingStays({ tenantId: 't.tenant_id', recordId: 'm.record_id', createdAt: 'm.created_at' })}
          from mapper_responses m where m.tenant_id = t.tenant_id and m.request_id = t.request_id), false)`,
    },
  ],
  companion: 'mapper_responses',
};
