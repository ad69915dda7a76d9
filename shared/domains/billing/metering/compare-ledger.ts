import type { CloudEvent, UsageData } from '../../../platform/bus/events.ts';
import { findNewEvents } from '../../../platform/consume/same-event.ts';
import { readInPages } from '../../../platform/db/read-in-pages.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { TRACE_PAGE } from '../../../platform/writes/traced-write.ts';
import { LEDGER } from './write-usage.ts';

/** Those of the events that the ledger does not have. */
export function findUnrecorded(
  billing: CrossTenantDatabase,
  events: readonly CloudEvent<UsageData>[],
): Promise<CloudEvent<UsageData>[]> {
  return findNewEvents(billing, LEDGER, events);
}

/** A row of the ledger, as far as its event is concerned. */
export interface RecordedUsage {
  readonly [column: string]: unknown;
  readonly event_id: string;
  readonly usage_type: string;
  readonly amount: number;
  readonly resource_id: string | null;
  readonly occurred_at: string;
}

/** Reads a tenant's rows of one source in a span, in pages. */
export async function* readRecorded(
  billing: CrossTenantDatabase,
  of: { readonly tenantId: string; readonly source: string; readonly from: Date; readonly to: Date },
): AsyncIterable<readonly RecordedUsage[]> {
  yield* readInPages<RecordedUsage>({
    size: TRACE_PAGE,
    firstId: '',
    read: (after) =>
      billing.query<RecordedUsage>(
        `select event_id, usage_type, usage_amount::float8 as amount, resource_id, occurred_at from usage_records
        where tenant_id = $1 and event_source = $2 and occurred_at >= $3 and occurred_at <= $4
          and (occurred_at, event_id) > ($5::timestamptz, $6)
        order by occurred_at, event_id limit ${TRACE_PAGE}`,
        [of.tenantId, of.source, of.from, of.to, ...after],
        { prepare: false },
      ),
    placeOf: (row) => [row.occurred_at, row.event_id],
  });
}

/** An hour's usage of a type, as the ledger adds it up. Amounts are exact. */
export interface HourOfUsage {
  readonly [column: string]: unknown;
  readonly usage_type: string;
  readonly unit: string;
  readonly hour: string;
  readonly amount: string;
  readonly events: number;
}

/** Adds up a tenant's usage by the hour, since a time. */
export function sumByHour(
  billing: CrossTenantDatabase,
  tenantId: string,
  from: Date,
): Promise<HourOfUsage[]> {
  return billing.query<HourOfUsage>(
    `select usage_type, usage_unit as unit, date_trunc('hour', occurred_at, 'UTC') as hour, sum(usage_amount)::text as amount,
            count(*)::int as events
       from usage_records where tenant_id = $1 and occurred_at >= $2 group by 1, 2, 3 order by 1, 2, 3`,
    [tenantId, from],
    { prepare: false },
  );
}

/** The tenants that billing knows. */
export async function billedTenants(billing: CrossTenantDatabase): Promise<string[]> {
  const rows = await billing.query<{ tenant_id: string }>(
    `select tenant_id from free_tier_usage union select tenant_id from user_subscriptions order by 1`,
  );
  return rows.map((row) => row.tenant_id);
}
