import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { derivedId } from '../../platform/ids/derived-id.ts';

/** One figure of the platform itself over a span of time. */
export interface PlatformPerformance {
  readonly service_name: string;
  readonly metric_name: string;
  readonly metric_value: number;
  readonly metric_unit: string;
  /** The start of the span. */
  readonly measured_at: Date;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const POINTS = recordset({
  id: 'uuid',
  service_name: 'text',
  metric_name: 'text',
  metric_value: 'float8',
  metric_unit: 'text',
  measured_at: 'timestamptz',
  metadata: 'jsonb',
});

/**
 * Writes figures of the platform, under its own tenant. A figure's id is made of its service, name and time, so each is written once.
 * Returns how many were new.
 */
export async function writePlatformPerformance(
  database: CrossTenantDatabase,
  points: readonly PlatformPerformance[],
  now: Date,
): Promise<number> {
  if (points.length === 0) return 0;
  const rows = points.map((point) => ({
    id: derivedId(point.measured_at, [PLATFORM_TENANT, point.service_name, point.metric_name]),
    ...point,
  }));
  const added = await database.query(
    `insert into performance_metrics (tenant_id, id, service_name, metric_name, metric_value, metric_unit, measured_at, metadata,
       created_at)
     select $1, p.id, p.service_name, p.metric_name, p.metric_value, p.metric_unit, p.measured_at, p.metadata, $2
       from ${POINTS.from('p', 3)} order by p.id
     on conflict (tenant_id, id) do nothing returning 1`,
    [PLATFORM_TENANT, now, ...POINTS.parameters(rows)],
  );
  return added.length;
}
