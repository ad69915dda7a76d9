import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import type { BillingStanding } from '../../platform/auth/tenant-context.ts';
import { AUDIT_RECORDED, newEvent, type AuditData, type CloudEvent } from '../../platform/bus/events.ts';
import type { CallServices, OutboxEntry } from '../../platform/call/call.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import { systemClock } from '../../platform/time/clock.ts';
import { addToOutbox, newEntry } from '../../platform/writes/outbox.ts';
import { tenantBilling, type TenantBilling } from '../billing/subscriptions/standing.ts';

type Services = Pick<CallServices, 'settings' | 'crossTenant' | 'tenants' | 'publisher'>;

/** What core keeps of a tenant's billing. */
interface KeptBilling {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly plan_id: string;
  readonly has_quota: boolean;
  readonly billing_standing: BillingStanding['standing'];
  readonly billing_grace_ends_at: Date | string | null;
}

const CHANGES = recordset({
  tenant_id: 'text',
  plan_id: 'text',
  has_quota: 'boolean',
  standing: 'text',
  grace_ends_at: 'timestamptz',
});

const KEPT_COLUMNS = 'tenant_id, plan_id, has_quota, billing_standing, billing_grace_ends_at';

/** Those tenants of which core keeps something else than billing says. Erased ones stay as they are. */
export async function findStaleBilling(
  { crossTenant, settings }: Pick<Services, 'settings' | 'crossTenant'>,
  tenantIds: readonly string[],
  now: Date,
): Promise<readonly { readonly tenantId: string; readonly kept: string; readonly told: string }[]> {
  const own = tenantIds.filter((id) => id !== PLATFORM_TENANT);
  const told = await tenantBilling(crossTenant.billing, own, settings, now);
  const kept = await crossTenant.core.query<KeptBilling>(
    `select ${KEPT_COLUMNS} from tenants where tenant_id = any($1) and status <> 'erased' order by tenant_id`,
    [own],
  );
  return kept.flatMap((before) => {
    const after = told.get(before.tenant_id);
    return after === undefined || isSame(before, after)
      ? []
      : [
          {
            tenantId: before.tenant_id,
            kept: `${before.plan_id} ${before.billing_standing}`,
            told: `${after.plan_id} ${after.standing}`,
          },
        ];
  });
}

/**
 * Brings what core keeps of tenants' billing to what billing says now, as of `now`. Erased tenants stay as they are. Each change of
 * a standing or plan has one entry in the tenant's audit trail, by `actor`. Safe to repeat and in any order: the tenant's row is
 * locked before billing is read, so of two at once the later one has the newer answer. Returns how many tenants changed.
 */
export async function refreshBilling(
  services: Services,
  tenantIds: readonly string[],
  actor: string,
  now: Date,
): Promise<number> {
  const own = tenantIds.filter((id) => id !== PLATFORM_TENANT);
  if (own.length === 0) return 0;
  const { changed, entries } = await services.crossTenant.core.transaction((transaction) =>
    refresh(services, transaction, own, actor, now),
  );
  for (const tenantId of changed) services.tenants.forget(tenantId);
  for (const entry of entries) services.publisher.publish(entry);
  return changed.length;
}

async function refresh(
  services: Services,
  transaction: CrossTenantTransaction,
  tenantIds: readonly string[],
  actor: string,
  now: Date,
): Promise<{ changed: readonly string[]; entries: readonly OutboxEntry[] }> {
  const kept = await transaction.query<KeptBilling>(
    `select ${KEPT_COLUMNS} from tenants
      where tenant_id = any($1) and status <> 'erased' order by tenant_id for no key update`,
    [tenantIds],
  );
  const { crossTenant, settings } = services;
  const told = await tenantBilling(
    crossTenant.billing,
    kept.map((row) => row.tenant_id),
    settings,
    now,
  );
  const changes = kept.flatMap((before) => {
    const after = told.get(before.tenant_id);
    return after === undefined || isSame(before, after) ? [] : [{ before, after }];
  });
  if (changes.length === 0) return { changed: [], entries: [] };
  // The real time, not a run's `as_of`: a queue refuses events from the future.
  const at = systemClock.now();
  await transaction.query(
    `update tenants t set plan_id = c.plan_id, has_quota = c.has_quota, billing_standing = c.standing,
            billing_grace_ends_at = c.grace_ends_at, updated_at = $1, version = t.version + 1
       from ${CHANGES.from('c', 2)} where t.tenant_id = c.tenant_id`,
    [
      at,
      ...CHANGES.parameters(changes.map(({ before, after }) => ({ tenant_id: before.tenant_id, ...after }))),
    ],
  );
  const entries = changes.flatMap(({ before, after }) => {
    const events = auditEvents(before, after, actor, at);
    return events.length === 0 ? [] : [newEntry('core', before.tenant_id, events, at)];
  });
  await addToOutbox(transaction, entries);
  return { changed: changes.map(({ before }) => before.tenant_id), entries };
}

/** A time as the database has it, in ms. Both databases have microseconds, and `Date` has not. */
const instant = (time: Date | string | null): number | null =>
  time === null ? null : new Date(time).getTime();

function isSame(before: KeptBilling, after: TenantBilling): boolean {
  return (
    before.plan_id === after.plan_id &&
    before.has_quota === after.has_quota &&
    before.billing_standing === after.standing &&
    instant(before.billing_grace_ends_at) === instant(after.grace_ends_at)
  );
}

/** What the audit trail calls the beginning of a standing. */
const STANDING_ACTIONS: Readonly<Record<BillingStanding['standing'], string>> = {
  good: 'billing.restored',
  grace: 'billing.grace_began',
  read_only: 'billing.read_only_began',
};

function auditEvents(before: KeptBilling, after: TenantBilling, actor: string, at: Date): CloudEvent[] {
  const note = (action: string, details: Record<string, unknown>): CloudEvent<AuditData> =>
    newEvent<AuditData>(
      AUDIT_RECORDED,
      {
        tenant_id: before.tenant_id,
        actor,
        action,
        resource_type: 'tenant',
        resource_id: before.tenant_id,
        outcome: 'success',
        details,
      },
      at,
    );
  const events: CloudEvent[] = [];
  if (before.plan_id !== after.plan_id)
    events.push(note('tenant.plan_changed', { plan_id: after.plan_id, previous_plan_id: before.plan_id }));
  if (before.billing_standing !== after.standing)
    events.push(
      note(STANDING_ACTIONS[after.standing], {
        standing: after.standing,
        previous_standing: before.billing_standing,
        grace_ends_at: after.grace_ends_at?.toISOString() ?? null,
      }),
    );
  return events;
}
