import type { ExpiringTable } from '../retention/expiring-table.ts';

/** How orchestrations expire: with their results and responses, which refer to them. */
export const expiringOrchestrations: ExpiringTable = {
  table: 'orchestration_requests',
  idColumn: 'request_id',
  dataType: 'orchestrations',
  holdIds: 'array[t.request_id, t.job_id]',
  named: [
    'select true from orchestration_requests o where o.tenant_id = $1 and o.request_id = w.id',
    'select true from orchestration_requests o where o.tenant_id = $1 and o.job_id = w.id',
  ],
  stays: [],
};
