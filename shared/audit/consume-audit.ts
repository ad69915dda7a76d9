import type { EventConsumer } from '../bus/consume.ts';
import { eventRowId } from '../bus/event-row-id.ts';
import { AUDIT_RECORDED, auditData, type AuditData } from '../bus/events.ts';
import type { ReceivedEvent } from '../bus/read-event.ts';
import { firstOfEach, SAME_EVENT_SPAN } from '../bus/same-event.ts';
import { withMonthPartitions } from '../db/month-partitions.ts';
import type { JobsDatabase } from '../db/tenant-database.ts';
import type { Settings } from '../config/settings.ts';
import { sealEntry } from './canonical.ts';

/** As long as the trail itself is kept: seven years, with their leap days. */
const MAX_AGE_DAYS = 7 * 365 + 2;

/** What becomes of audit events: entries of the tenant's trail, each with its leaf hash. */
export const auditConsumer: EventConsumer<AuditData> = {
  type: AUDIT_RECORDED,
  schema: auditData,
  maxAgeDays: MAX_AGE_DAYS,
  write: (services, events, now) =>
    recordAudit(services.jobs.core, services.settings, firstOfEach(events), now),
};

/** Writes entries in one statement, each once by its event's source and id. */
async function recordAudit(
  database: JobsDatabase,
  settings: Settings,
  events: readonly ReceivedEvent<AuditData>[],
  now: Date,
): Promise<void> {
  const rows = JSON.stringify(events.map(rowOf));
  await withMonthPartitions(
    database,
    'audit_logs',
    events.map((event) => event.at),
    () =>
      database.query(
        `insert into audit_logs (tenant_id, id, event_source, event_id, user_id, actor, action, resource_type, resource_id,
           details, outcome, ip_address, user_agent, trace_id, azure_region, subscription_id, resource_group, canonical,
           leaf_hash, created_at, received_at)
         select tenant_id, id, event_source, event_id, user_id, actor, action, resource_type, resource_id, details, outcome,
                ip_address, user_agent, trace_id, $3, $4, $5, decode(canonical, 'base64'), decode(leaf_hash, 'base64'),
                created_at, $2
           from json_to_recordset($1::text::json) as e (tenant_id text, id uuid, event_source text, event_id text,
                user_id text, actor text, action text, resource_type text, resource_id text, details jsonb, outcome text,
                ip_address inet, user_agent text, trace_id text, canonical text, leaf_hash text, created_at timestamptz)
          where not exists (
            select from audit_logs a
             where a.tenant_id = e.tenant_id and a.event_source = e.event_source and a.event_id = e.event_id
               and a.created_at between e.created_at - interval '${SAME_EVENT_SPAN}'
                                    and e.created_at + interval '${SAME_EVENT_SPAN}')
          order by tenant_id, event_source, event_id, created_at
         on conflict do nothing`,
        [
          rows,
          now,
          settings.AZURE_REGION,
          settings.AZURE_SUBSCRIPTION_ID ?? null,
          settings.AZURE_RESOURCE_GROUP,
        ],
        { prepare: false },
      ),
  );
}

function rowOf({ id, source, time, at, data, tenant }: ReceivedEvent<AuditData>) {
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
  const { canonical, leafHash } = sealEntry(facts);
  return { ...facts, canonical: canonical.toString('base64'), leaf_hash: leafHash.toString('base64') };
}
