import type { EventConsumer, TenantEvent, WriteTally } from '../../platform/consume/event-consumer.ts';
import { eventRowId } from '../../platform/bus/event-row-id.ts';
import {
  ALERT_RESOLVED,
  ALERT_TRIGGERED,
  alertResolvedData,
  alertTriggeredData,
  AUDIT_RECORDED,
  auditData,
  USAGE_THRESHOLD_REACHED,
  usageThresholdData,
  type AlertResolvedData,
  type AlertTriggeredData,
  type AuditData,
  type UsageThresholdData,
} from '../../platform/bus/events.ts';
import {
  findNew,
  firstOfEach,
  inInsertOrder,
  insertNew,
  type OnConflict,
} from '../../platform/consume/same-event.ts';
import { withPartitions, type PartitionedTable } from '../../platform/db/partitions.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { Settings } from '../../platform/config/settings.ts';
import { isJournaled, journalActs } from './act-journal.ts';
import { hashEntry } from './entry-hash.ts';

/** The audit trail is kept for seven years, leap days included. */
const MAX_AGE_DAYS = 7 * 365 + 2;

/** Turns audit events into entries of the tenant's trail, each with its leaf hash. */
export const auditConsumer: EventConsumer<AuditData> = {
  type: AUDIT_RECORDED,
  schema: auditData,
  maxAgeDays: MAX_AGE_DAYS,
  write: (services, events, now, tally) =>
    told(events, tally, async (first) => {
      await journalActs(
        services.blobs,
        first.filter(({ data }) => isJournaled(data)).map((event) => entryOf(event)),
      );
      return writeEntries(services.crossTenant.core, services.settings, first, now);
    }),
};

/** Turns an event of a used-up limit into an entry, so that the tenant's people find it where they look. */
export const thresholdConsumer: EventConsumer<UsageThresholdData> = {
  type: USAGE_THRESHOLD_REACHED,
  schema: usageThresholdData,
  maxAgeDays: MAX_AGE_DAYS,
  write: (services, events, now, tally) =>
    told(events, tally, (first) =>
      writeEntries(
        services.crossTenant.core,
        services.settings,
        first.map((event) => ({ ...event, data: thresholdEntry(event.data) })),
        now,
      ),
    ),
};

/** Writes each event once, and tallies those that were there already. */
async function told<T>(
  events: readonly TenantEvent<T>[],
  tally: WriteTally | undefined,
  write: (first: readonly TenantEvent<T>[]) => Promise<number>,
): Promise<void> {
  const written = await write(firstOfEach(events));
  if (tally !== undefined) tally.duplicates = events.length - written;
}

function thresholdEntry({ tenant_id, user_id, ...details }: UsageThresholdData): AuditData {
  return {
    tenant_id,
    user_id,
    action: 'usage.threshold_reached',
    resource_type: 'usage',
    resource_id: details.usage_type,
    outcome: 'success',
    details,
  };
}

/** Turns an event of a raised alert into an entry. */
export const alertTriggeredConsumer: EventConsumer<AlertTriggeredData> = {
  type: ALERT_TRIGGERED,
  schema: alertTriggeredData,
  maxAgeDays: MAX_AGE_DAYS,
  write: (services, events, now, tally) =>
    told(events, tally, (first) =>
      writeEntries(
        services.crossTenant.core,
        services.settings,
        first.map((event) => ({ ...event, data: alertEntry('alert.triggered', event.data) })),
        now,
      ),
    ),
};

/** Turns an event of an alert that is over into an entry. Where a person ended it, the request's own entry says who. */
export const alertResolvedConsumer: EventConsumer<AlertResolvedData> = {
  type: ALERT_RESOLVED,
  schema: alertResolvedData,
  maxAgeDays: MAX_AGE_DAYS,
  write: (services, events, now, tally) =>
    told(events, tally, async (first) => {
      const entries = first
        .filter((event) => event.data.resolution !== 'by_person')
        .map((event) => ({ ...event, data: alertEntry('alert.resolved', event.data) }));
      const written = await writeEntries(services.crossTenant.core, services.settings, entries, now);
      return written + first.length - entries.length;
    }),
};

function alertEntry(action: string, { tenant_id, alert_id, ...details }: AlertTriggeredData): AuditData {
  return { tenant_id, action, resource_type: 'alert', resource_id: alert_id, outcome: 'success', details };
}

const ENTRIES = recordset({
  tenant_id: 'text',
  id: 'uuid',
  source: 'text',
  event_id: 'text',
  user_id: 'text',
  actor: 'text',
  action: 'text',
  resource_type: 'text',
  resource_id: 'text',
  details: 'jsonb',
  outcome: 'text',
  ip_address: 'inet',
  user_agent: 'text',
  trace_id: 'text',
  canonical: 'json text',
  leaf_hash: 'bytea',
  at: 'timestamptz',
});

const insertText = (onConflict: OnConflict): string => `
insert into audit_logs (tenant_id, id, event_source, event_id, user_id, actor, action, resource_type, resource_id, details,
  outcome, ip_address, user_agent, trace_id, azure_region, subscription_id, resource_group, canonical, leaf_hash, created_at,
  received_at)
select tenant_id, id, source, event_id, user_id, actor, action, resource_type, resource_id, details, outcome, ip_address,
       user_agent, trace_id, $2, $3, $4, convert_to(canonical, 'UTF8'), leaf_hash, at, $1
  from ${ENTRIES.from('e', 5)}
${onConflict}`;

/** The trail's partitions. */
export const AUDIT_LOGS: PartitionedTable = { table: 'audit_logs', grain: 'month' };
export const TRAIL = { table: AUDIT_LOGS.table, timeColumn: 'created_at' };

/** Writes entries in one statement. Each is written once, by its event's source and id. Returns how many are new. */
async function writeEntries(
  database: CrossTenantDatabase,
  settings: Settings,
  events: readonly TenantEvent<AuditData>[],
  now: Date,
): Promise<number> {
  const entries = await findNew(database, TRAIL, inInsertOrder(events.map(entryOf)));
  if (entries.length === 0) return 0;
  const parameters = [
    now,
    settings.AZURE_REGION,
    settings.AZURE_SUBSCRIPTION_ID ?? null,
    settings.AZURE_RESOURCE_GROUP,
    ...ENTRIES.parameters(entries),
  ];
  const instants = events.map((event) => event.at);
  await withPartitions(database, AUDIT_LOGS, instants, () =>
    insertNew((onConflict) => database.query(insertText(onConflict), parameters)),
  );
  return entries.length;
}

function entryOf({ id, source, time, at, data, tenant }: TenantEvent<AuditData>) {
  const facts = {
    tenant_id: tenant.tenantId,
    id: eventRowId({ tenantId: tenant.tenantId, source, id, at }),
    event_source: source,
    event_id: id,
    created_at: time,
    actor: data.actor ?? null,
    user_id: data.user_id ?? null,
    action: data.action,
    resource_type: data.resource_type,
    resource_id: data.resource_id ?? null,
    outcome: data.outcome,
    details: data.details,
    ip_address: data.ip_address ?? null,
    user_agent: data.user_agent ?? null,
    trace_id: data.trace_id ?? null,
  };
  const { canonical, leafHash } = hashEntry(facts);
  return { ...facts, source, at: time, canonical, leaf_hash: leafHash };
}
