import type { ExpiringTable } from '../retention/expiring-table.ts';
import { namedByHoldSql } from '../retention/holds.ts';

/**
 * How orchestrations expire: with their results and responses, which refer to them. One that a hold names by its job stays as
 * long as the hold: the job is known here alone, and by it the records and blobs that the hold covers.
 */
export const expiringOrchestrations: ExpiringTable = {
  table: 'orchestration_requests',
  idColumn: 'request_id',
  dataType: 'orchestrations',
  holdIds: 'array[t.request_id, t.job_id]',
  named: ['request_id', 'job_id'].flatMap((column) => {
    const rows = {
      from: 'orchestration_requests o',
      where: `o.tenant_id = $1 and o.${column} = w.id`,
    };
    return [
      { ...rows, dataTypes: ['orchestrations'], createdAt: 'o.created_at' },
      // Its mappings that are still to come, and their records.
      { ...rows, dataTypes: ['mappings', 'storage_records'] },
    ] as const;
  }),
  stays: [{ fate: 'needed', when: namedByHoldSql('t.tenant_id', 't.job_id') }],
};
