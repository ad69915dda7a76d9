import { traceAnalyses } from '../../shared/domains/analysis/trace-writes.ts';
import { findUnrolled } from '../../shared/domains/analytics/compare-roll-ups.ts';
import { findLostEntries, readEntryEvents } from '../../shared/domains/audit/find-lost-entries.ts';
import { findUnrecorded, readRecorded } from '../../shared/domains/billing/metering/compare-ledger.ts';
import { traceMappings } from '../../shared/domains/mapping/trace-writes.ts';
import { traceOrchestrations } from '../../shared/domains/orchestration/trace-writes.ts';
import { traceRecords } from '../../shared/domains/records/archive/trace-archives.ts';
import { ARCHIVE_REQUESTED, EVENT_SOURCE, newEvent } from '../../shared/platform/bus/events.ts';
import { causeOfEntry, usageEventId } from '../../shared/platform/writes/event-cause.ts';
import { auditOf, usageOf, type TracedWrite } from '../../shared/platform/writes/traced-write.ts';
import { ACTOR, emit, type Scope } from './scope.ts';

/**
 * A write that began before the restored moment, and committed after it, is lost: no request takes longer. So usage of this time
 * before it can be of lost writes too.
 */
const LONGEST_WRITE_MS = 5 * 60_000;
/** The actions of entries that rows explain. An entry of another action has nothing to be compared with. */
const TRACED =
  /^(mapping|orchestration|analysis|record)\.(created|completed|results_added|cancelled|archived)$/;
/** The type of usage that every metered call has. */
const EVERY_CALL = 'api_calls';

/**
 * Compares a tenant's writes with what they caused in billing, analytics and the audit trail. What is missing is published again: with
 * the identities that the events had, so it does no harm if they are still on their way.
 */
export async function compareWrites(scope: Scope, tenantId: string): Promise<void> {
  const known: Known = { usage: new Set(), entries: new Set() };
  const { core } = scope.services.crossTenant;
  for (const pages of [traceMappings, traceOrchestrations, traceAnalyses])
    for await (const writes of pages(core, tenantId, scope.since))
      await comparePage(scope, tenantId, writes, known);
  for await (const records of traceRecords(core, tenantId, scope.since)) {
    const archives = records.flatMap(({ archive }) => (archive === undefined ? [] : [archive]));
    await comparePage(scope, tenantId, archives, known);
    await requestArchives(
      scope,
      tenantId,
      records.filter(({ archive }) => archive === undefined).map(({ id }) => id),
    );
  }
  await compareAhead(scope, tenantId, known);
}

/** The identities of all events that rows explain. */
interface Known {
  readonly usage: Set<string>;
  readonly entries: Set<string>;
}

async function comparePage(
  scope: Scope,
  tenantId: string,
  writes: readonly TracedWrite[],
  known: Known,
): Promise<void> {
  const { findings, mend } = scope;
  const { core, billing, analytics } = scope.services.crossTenant;
  const inSpan = writes.filter(({ at }) => at >= scope.since && at <= scope.until);
  const usage = inSpan.flatMap(usageOf);
  for (const { id } of usage) known.usage.add(id);
  const lost = new Set([
    ...(await findUnrecorded(billing, usage)),
    ...(await findUnrolled(analytics, usage)),
  ]);
  const amounts: Record<string, number> = {};
  for (const { data } of lost) amounts[data.usage_type] = (amounts[data.usage_type] ?? 0) + data.usage_amount;
  if (mend) await emit(scope, [...lost]);
  findings.add(
    'usage_behind',
    tenantId,
    [...lost].map(({ id, time, data }) => ({
      event_id: id,
      time,
      usage_type: data.usage_type,
      amount: data.usage_amount,
    })),
    { mended: mend, amounts },
  );
  const told = inSpan.flatMap((write) => auditOf(write, ACTOR));
  for (const { id } of told) known.entries.add(id);
  const entries = await findLostEntries(core, told);
  if (mend) await emit(scope, entries);
  findings.add(
    'audit_behind',
    tenantId,
    entries.map(({ id, time, data }) => ({
      event_id: id,
      time,
      action: data.action,
      resource_id: data.resource_id,
    })),
    { mended: mend },
  );
}

async function requestArchives(scope: Scope, tenantId: string, ids: readonly string[]): Promise<void> {
  const { findings, mend, now } = scope;
  if (mend)
    await emit(
      scope,
      ids.map((id) => newEvent(ARCHIVE_REQUESTED, { tenant_id: tenantId, record_id: id }, now)),
    );
  findings.add(
    'record_not_archived',
    tenantId,
    ids.map((id) => ({ record_id: id })),
    { mended: mend },
  );
}

/** Usage that billing has, and that no write in core explains. It can only be of writes after the moment of core. */
async function compareAhead(scope: Scope, tenantId: string, known: Known): Promise<void> {
  const moment = scope.moments.core;
  if (moment === undefined) return;
  const { core, billing } = scope.services.crossTenant;
  const from = new Date(moment.getTime() - LONGEST_WRITE_MS);
  const span = { tenantId, source: EVENT_SOURCE, from, to: scope.until };
  // Other writes leave no row that tells their usage. Their entry in the audit trail does.
  for await (const entries of readEntryEvents(core, span))
    for (const entry of entries) {
      const cause = causeOfEntry({ id: entry.event_id });
      known.usage.add(usageEventId({ ...cause, tenantId, at: new Date(entry.created_at) }, EVERY_CALL));
      if (TRACED.test(entry.action) && !known.entries.has(entry.event_id))
        scope.findings.add('audit_ahead', tenantId, [
          {
            event_id: entry.event_id,
            time: entry.created_at,
            action: entry.action,
            resource_id: entry.resource_id,
          },
        ]);
    }
  for await (const rows of readRecorded(billing, span)) {
    const ahead = rows.filter(({ event_id: id }) => !known.usage.has(id));
    const amounts: Record<string, number> = {};
    for (const { usage_type: type, amount } of ahead) amounts[type] = (amounts[type] ?? 0) + amount;
    scope.findings.add(
      'usage_ahead',
      tenantId,
      ahead.map((row) => ({
        event_id: row.event_id,
        time: row.occurred_at,
        usage_type: row.usage_type,
        amount: row.amount,
        ...(row.resource_id === null ? {} : { resource_id: row.resource_id }),
      })),
      { amounts },
    );
  }
}
