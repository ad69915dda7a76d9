import type { ExpiringTable } from '../retention/expiring-table.ts';
import { namedByHoldSql } from '../retention/holds.ts';

/**
 * How orchestrations expire: together with their results and responses. An orchestration stays as long as a hold names its
 * `job_id`: only this table has that id, and the hold's records and blobs are found through it.
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
      // The orchestration's future mappings and their records.
      { ...rows, dataTypes: ['mappings', 'storage_records'] },
    ] as const;
  }),
  stays: [{ fate: 'needed', when: namedByHoldSql('t.tenant_id', 't.job_id') }],
};
