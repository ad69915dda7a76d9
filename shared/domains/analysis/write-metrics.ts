import type { Call } from '../../platform/call/call.ts';
import { created, type Reply } from '../../platform/call/reply.ts';
import { newId } from '../../platform/ids/ids.ts';
import { defineHotWrite, singleReply } from '../../platform/writes/hot-write.ts';
import { writeItems } from '../../platform/writes/write-items.ts';
import { expiryOf } from '../retention/expiry.ts';
import type { MetricsWritten, NewMetrics } from './metric-schemas.ts';

/** The points of one write: all of them or none. They stay JSON within their row: several requests share a statement row by row. */
const METRICS_WRITE = defineHotWrite({
  route: 'analysis-metrics-create',
  columns: { points: 'jsonb', expires_at: 'timestamptz' },
  inserts: `
  , point as (
      insert into analysis_metrics (tenant_id, id, metric_name, metric_value, metric_unit, time_period, evidence_refs,
        metadata, created_at, expires_at)
      select scope.tenant_id, p.id, p.metric_name, p.metric_value, p.metric_unit, p.time_period, p.evidence_refs,
             p.metadata, fresh.written_at, fresh.expires_at
        from scope, fresh, jsonb_to_recordset(fresh.points) as p (id uuid, metric_name text,
          metric_value double precision, metric_unit text, time_period timestamptz, evidence_refs jsonb, metadata jsonb))`,
});

/** Writes points of series, all of them or none. 201 with their ids. */
export async function writeMetrics(call: Call, { metrics }: NewMetrics): Promise<Reply<201, MetricsWritten>> {
  const points = metrics.map((metric) => ({ ...metric, id: newId(call.now) }));
  const outcomes = await writeItems<Reply<201, MetricsWritten>>(call, METRICS_WRITE, [
    {
      requestId: newId(call.now),
      claim: call.idempotency,
      reply: created('/api/v1/analysis-metrics', {
        count: points.length,
        ids: points.map((point) => point.id),
      }),
      audit: {
        action: 'analysis_metrics.written',
        resource_type: 'analysis_metrics',
        details: { count: points.length },
      },
      usage: [{ usage_type: 'api_calls', usage_amount: 1 }],
      events: [],
      row: { points, expires_at: expiryOf(call.context, 'analysis_metrics', call.now) },
    },
  ]);
  return singleReply(outcomes);
}
