import {
  numbered,
  readKeyset,
  when,
  type Condition,
  type KeysetList,
  type PageRequest,
} from '../../platform/db/keyset.ts';
import type { Parameter } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import {
  cursorScope,
  pageReply,
  readPage,
  type CursorScope,
  type Page,
} from '../../platform/http/pagination.ts';
import type { Reply } from '../../platform/call/reply.ts';
import type { Bucket, MetricBucket, MetricPoint, MetricsQuery } from './metric-schemas.ts';

type PointsReply = Reply<200, Page<MetricPoint>>;
type BucketsReply = Reply<200, Page<MetricBucket>>;

/** A page of points in order of time. With `bucket`: a page of the series' sums. */
export async function readMetrics(
  call: Call,
  query: MetricsQuery,
  url: string,
): Promise<PointsReply | BucketsReply> {
  const scope = cursorScope(call, query);
  const page = readPage(scope, query);
  const { bucket } = query;
  return bucket === undefined
    ? readPoints(call, query, url, scope, page)
    : readBuckets(call, query, bucket, url, scope, page);
}

function conditionsOf(call: Call, query: MetricsQuery): Condition[] {
  return [
    ...when('expires_at > ?', call.now),
    ...when('metric_name = ?', query.metric_name),
    ...when('time_period >= ?::timestamptz', query.from),
    ...when('time_period < ?::timestamptz', query.to),
  ];
}

async function readPoints(
  call: Call,
  query: MetricsQuery,
  url: string,
  scope: CursorScope,
  page: PageRequest,
): Promise<PointsReply> {
  const list: KeysetList = {
    table: 'analysis_metrics',
    columns:
      'id, metric_name, metric_value, metric_unit, time_period, evidence_refs, metadata, created_at, expires_at',
    timeColumn: 'time_period',
    idColumn: 'id',
    idType: 'uuid',
    conditions: conditionsOf(call, query),
  };
  return pageReply(scope, url, page, {
    read: (step) => readKeyset<MetricPoint>(call.tenant, list, step),
    positionOf: (row) => ({ at: row.time_period, id: row.id }),
  });
}

async function readBuckets(
  call: Call,
  query: MetricsQuery,
  bucket: Bucket,
  url: string,
  scope: CursorScope,
  page: PageRequest,
): Promise<BucketsReply> {
  const { aggregate } = query;
  return pageReply(scope, url, page, {
    read: async (step) => {
      const { text, parameters } = bucketStatement(conditionsOf(call, query), bucket, step);
      const rows = await call.tenant.statement<MetricBucket>(text, parameters);
      if (aggregate === undefined) return rows;
      return rows.map((row): MetricBucket => ({ ...row, value: row[aggregate] }));
    },
    positionOf: (row) => ({ at: row.bucket_start, id: bucket }),
  });
}

/** Reads only the page's points: the end of the last page is a bound on the index, not a filter after the sums. */
function bucketStatement(
  given: readonly Condition[],
  bucket: Bucket,
  page: PageRequest,
): { text: string; parameters: Parameter[] } {
  // Added in UTC: in another time zone a month could have an hour more or less.
  const after = page.descending
    ? `time_period < ?::timestamptz`
    : `time_period >= (?::timestamptz at time zone 'UTC' + interval '1 ${bucket}') at time zone 'UTC'`;
  const conditions = [...given, ...when(after, page.after?.at)];
  const direction = page.descending ? 'desc' : 'asc';
  const text = `select r.* from scope, lateral (
      select date_trunc('${bucket}', time_period, 'UTC') as bucket_start, count(*)::int as count,
             sum(metric_value) as sum, avg(metric_value) as avg, min(metric_value) as min, max(metric_value) as max
        from analysis_metrics
       where tenant_id = scope.tenant_id and ${conditions.map((condition) => condition.sql).join(' and ')}
       group by bucket_start order by bucket_start ${direction} limit ? offset 0) r
    order by r.bucket_start ${direction}`;
  return {
    text: numbered(text, 2),
    parameters: [...conditions.map((condition) => condition.value), page.limit + 1],
  };
}
