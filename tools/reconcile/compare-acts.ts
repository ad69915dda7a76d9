import { readActs, tenantsWithActs, type JournaledAct } from '../../shared/domains/audit/act-journal.ts';
import { findLostEntries } from '../../shared/domains/audit/find-lost-entries.ts';
import { isKeyAlive, revokeAgain } from '../../shared/domains/identity/revoke-again.ts';
import {
  AUDIT_RECORDED,
  newEvent,
  type AuditData,
  type CloudEvent,
} from '../../shared/platform/bus/events.ts';
import { addDays, utcDay } from '../../shared/platform/time/clock.ts';
import { derivedId } from '../../shared/platform/ids/derived-id.ts';
import { ACTOR, emit, type Scope } from './scope.ts';

const KEY_REVOKED = 'api_key.revoked';

/** The event whose entry was copied, with its own identity. */
function eventOf(act: JournaledAct): CloudEvent<AuditData> {
  const { event_source: source, event_id: id, created_at: at, ...data } = act;
  const event = newEvent<AuditData>(AUDIT_RECORDED, { ...data, outcome: 'success' }, new Date(at), id);
  return { ...event, source };
}

/**
 * Finds acts after the moment of core, by their copies in the blob storage. Keys that were revoked are revoked again, and their entry
 * comes back as it was. Other acts a person repeats: the copy says who did what, and not with which content.
 */
export async function compareActs(scope: Scope): Promise<void> {
  const { services, moments, until } = scope;
  if (moments.core === undefined) return;
  const { core } = services.crossTenant;
  const days: string[] = [];
  for (let at = moments.core; utcDay(at) <= utcDay(until); at = addDays(at, 1)) days.push(utcDay(at));
  for (const tenantId of await tenantsWithActs(services.blobs)) {
    if (scope.erased.has(tenantId)) continue;
    const acts = await readActs(services.blobs, tenantId, days);
    const events = new Map(acts.map((act) => [eventOf(act), act]));
    for (const event of await findLostEntries(core, [...events.keys()])) {
      const act = events.get(event);
      if (act !== undefined) await compareAct(scope, tenantId, act, event);
    }
  }
}

async function compareAct(
  scope: Scope,
  tenantId: string,
  act: JournaledAct,
  event: CloudEvent<AuditData>,
): Promise<void> {
  const { services, findings, mend, moments, tenants } = scope;
  const { core } = services.crossTenant;
  const at = new Date(act.created_at);
  const items = [{ action: act.action, resource_id: act.resource_id, actor: act.actor, at: act.created_at }];
  const isOwn = tenants.some((tenant) => tenant.tenantId === tenantId);
  if (act.action === KEY_REVOKED && act.resource_id !== null && isOwn) {
    const isAlive = await isKeyAlive(core, tenantId, act.resource_id);
    if (mend && isAlive) await revokeAgain(core, tenantId, act.resource_id, at);
    if (mend) await emit(scope, [event]);
    findings.add(isAlive ? 'act_undone' : 'audit_behind', tenantId, items, { mended: mend });
  } else if (moments.core !== undefined && at <= moments.core) {
    // The act is there, and its entry, which comes later, is not.
    if (mend) await emit(scope, [event]);
    findings.add('audit_behind', tenantId, items, { mended: mend });
  } else findings.add('act_to_repeat', tenantId, items);
}

/** Writes into each tenant's audit trail that it was restored, once for each restore. */
export async function noteRestore(scope: Scope): Promise<void> {
  const { services, findings, mend, moments } = scope;
  const restored = Object.entries(moments).map(([name, at]) => [name, at.toISOString()] as const);
  for (const { tenantId } of scope.tenants) {
    const data: AuditData = {
      tenant_id: tenantId,
      actor: ACTOR,
      action: 'database.restored',
      resource_type: 'database',
      resource_id: restored.map(([name]) => name).join(' '),
      outcome: 'success',
      details: { ...Object.fromEntries(restored), writes_stopped: scope.until.toISOString() },
    };
    // Of the moment of the restore, and not of this run: a second run finds the first one's entry.
    const identity = ['restored', tenantId, ...restored.flat()];
    const stamp = new Date(Math.max(...Object.values(moments).map((moment) => moment.getTime())));
    const event = newEvent<AuditData>(AUDIT_RECORDED, data, stamp, derivedId(stamp, identity));
    const lost = await findLostEntries(services.crossTenant.core, [event]);
    if (mend) await emit(scope, lost);
    findings.add(
      'restore_unnoted',
      tenantId,
      lost.map(({ id }) => ({ event_id: id })),
      { mended: mend },
    );
  }
}
