import type { ExpiringTable } from '../retention/expiring-table.ts';

/** How analyses expire: with their responses, which refer to them. */
export const expiringAnalyses: ExpiringTable = {
  table: 'analysis_requests',
  idColumn: 'request_id',
  dataType: 'analyses',
  holdIds: 'array[t.request_id]',
  named: [
    {
      from: 'analysis_requests a',
      where: 'a.tenant_id = $1 and a.request_id = w.id',
      dataTypes: ['analyses'],
      createdAt: 'a.created_at',
    },
  ],
  stays: [],
};

/** How metrics expire: each by itself. */
export const expiringMetrics: ExpiringTable = {
  table: 'analysis_metrics',
  idColumn: 'id',
  dataType: 'analysis_metrics',
  holdIds: 'array[t.id]',
  named: [
    {
      from: 'analysis_metrics a',
      where: 'a.tenant_id = $1 and a.id = w.id',
      dataTypes: ['analysis_metrics'],
      createdAt: 'a.created_at',
    },
  ],
  stays: [],
};
