import { recordOfMappingStays, sourceOfRecordSql } from '../records/expiring.ts';
import type { ExpiringTable } from '../retention/expiring-table.ts';
import { mappingIdsSql } from './ids.ts';

/** The mappings that `w.id` names (a mapping's id, an orchestration's, or a `job_id`), joined with the rows found for each. */
const ofNamed = (found: string): string =>
  `ops.mappings_named($1, w.id) s (id) cross join lateral (${found} offset 0) m`;

const ANSWERS =
  'select p.record_id, p.created_at from mapper_responses p where p.tenant_id = $1 and p.request_id = s.id';
const RECORD_STAYS = recordOfMappingStays({
  tenantId: '$1',
  recordId: 'm.record_id',
  createdAt: 'm.created_at',
});

/** How mappings expire: together with their response, and not before their record. */
export const expiringMappings: ExpiringTable = {
  table: 'mapper_requests',
  idColumn: 'request_id',
  dataType: 'mappings',
  // Also the record's id: a hold on a record keeps the mapping that it was made from.
  holdIds: `${mappingIdsSql({ tenantId: 't.tenant_id', mappingId: 't.request_id' })} || (
    select m.record_id from mapper_responses m where m.tenant_id = t.tenant_id and m.request_id = t.request_id)`,
  named: [
    {
      from: ofNamed(
        'select m.created_at from mapper_requests m where m.tenant_id = $1 and m.request_id = s.id',
      ),
      where: 'true',
      dataTypes: ['mappings'],
      createdAt: 'm.created_at',
    },
    {
      from: 'mapper_requests m',
      where: `m.tenant_id = $1 and m.request_id = ${sourceOfRecordSql('w.id')}`,
      dataTypes: ['mappings'],
      createdAt: 'm.created_at',
    },
    {
      from: ofNamed(ANSWERS),
      where: RECORD_STAYS,
      dataTypes: ['storage_records'],
      createdAt: 'm.created_at',
    },
    {
      // The record is made when the response comes.
      from: ofNamed(`
        select from mapper_requests m where m.tenant_id = $1 and m.request_id = s.id and not exists (
          select from mapper_responses p where p.tenant_id = $1 and p.request_id = s.id)`),
      where: 'true',
      dataTypes: ['storage_records'],
    },
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
