import { z } from 'zod';
import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import type { TenantStatus } from '../../platform/auth/tenant-context.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import type { CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import { addDays } from '../../platform/time/clock.ts';
import { auditEvent } from '../../platform/writes/caused-events.ts';
import { performPlatformWrite } from '../../platform/writes/perform-write.ts';
import { TENANT_COLUMNS, type Tenant } from './tenant.ts';

const reason = z.string().min(1).max(500).describe('The tenant’s people see it too.');

/** `POST /platform/tenants/{tenant_id}/suspend`. */
export const suspension = z.strictObject({ reason });

/** `POST /tenant/offboarding`, and the same for operators. */
export const offboarding = z.strictObject({
  confirm: z
    .string()
    .max(63)
    .describe('The tenant’s id, so that nobody begins this by mistake. Anything else is refused with 409.'),
  reason: reason.nullable().default(null),
});

/** Who changes a status: the tenant itself, or an operator. */
type By = 'tenant' | 'operator';

/** What is known of the tenant before its status changes. */
interface Before {
  readonly [column: string]: unknown;
  readonly status: TenantStatus;
  readonly offboarding_ends_at: string | null;
  readonly offboarding_began_by: By | null;
}

/** What changes. */
interface After {
  readonly status: TenantStatus;
  readonly reason: string | null;
  readonly endsAt: Date | null;
  readonly beganBy: By | null;
}

/** A change of a tenant's status. */
interface Change {
  /** What the audit trail calls it. */
  readonly action: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** Decides with the row locked. @throws Problem 409 that says why not. */
  readonly decide: (before: Before) => After;
}

const PLAIN: Omit<After, 'status'> = { reason: null, endsAt: null, beganBy: null };

const conflict = (detail: string): Problem => new Problem('CONFLICT', { detail });
const erased = (): Problem => conflict('The tenant is erased. That is final.');

/** An operator's decision that a tenant may only read. */
export function suspendTenant(
  call: Call,
  tenantId: string,
  body: z.output<typeof suspension>,
): Promise<Reply<200, Tenant>> {
  return changeStatus(call, tenantId, 'operator', {
    action: 'tenant.suspended',
    details: { reason: body.reason },
    decide: ({ status }) => {
      if (status === 'suspended') throw conflict('The tenant is suspended already.');
      if (status === 'offboarding') throw conflict('The tenant is leaving, so it may only read already.');
      if (status === 'erased') throw erased();
      return { ...PLAIN, status: 'suspended', reason: body.reason };
    },
  });
}

/** The end of a suspension. */
export function reactivateTenant(call: Call, tenantId: string): Promise<Reply<200, Tenant>> {
  return changeStatus(call, tenantId, 'operator', {
    action: 'tenant.reactivated',
    details: {},
    decide: ({ status }) => {
      if (status === 'active') throw conflict('The tenant is active already.');
      if (status === 'offboarding')
        throw conflict('The tenant is leaving. Undo the offboarding, instead of ending a suspension.');
      if (status === 'erased') throw erased();
      return { ...PLAIN, status: 'active' };
    },
  });
}

/**
 * Begins a tenant's leaving: for the days of OFFBOARDING_DAYS it reads and exports, and it can be undone. Then it is erased. An operator
 * may begin it for a suspended tenant, the tenant itself may not: undone, it would be active.
 */
export function beginOffboarding(
  call: Call,
  tenantId: string,
  by: By,
  body: z.output<typeof offboarding>,
): Promise<Reply<200, Tenant>> {
  const endsAt = addDays(call.now, call.services.settings.OFFBOARDING_DAYS);
  return changeStatus(call, tenantId, by, {
    action: 'tenant.offboarding_began',
    details: { ends_at: endsAt.toISOString(), by, reason: body.reason },
    decide: ({ status }) => {
      if (body.confirm !== tenantId) throw conflict('`confirm` is not the id of this tenant.');
      if (status === 'offboarding') throw conflict('The tenant is leaving already.');
      if (status === 'erased') throw erased();
      if (status === 'suspended' && by === 'tenant')
        throw conflict('The tenant is suspended. Only an operator can begin its offboarding.');
      return { status: 'offboarding', reason: body.reason, endsAt, beganBy: by };
    },
  });
}

/** Undoes an offboarding whose days are not over. The tenant is active again. */
export function undoOffboarding(call: Call, tenantId: string, by: By): Promise<Reply<200, Tenant>> {
  return changeStatus(call, tenantId, by, {
    action: 'tenant.offboarding_undone',
    details: { by },
    decide: ({ status, offboarding_ends_at: endsAt, offboarding_began_by: beganBy }) => {
      if (status === 'erased') throw erased();
      if (status !== 'offboarding') throw conflict('The tenant is not leaving.');
      if (by === 'tenant' && beganBy !== 'tenant')
        throw conflict('An operator began the offboarding, and only an operator can undo it.');
      // From here on its keys may be destroyed at any moment.
      if (endsAt === null || new Date(endsAt) <= call.now)
        throw conflict('The days in which it could be undone are over: the tenant is being erased.');
      return { ...PLAIN, status: 'active' };
    },
  });
}

/**
 * Changes a tenant's status. Of two changes at once, the second one sees what the first one made of it. Both the tenant's trail and the
 * platform's have an entry.
 * @throws Problem 404 for an unknown tenant, 409 for a change that its status does not allow.
 */
async function changeStatus(
  call: Call,
  tenantId: string,
  by: By,
  { action, details, decide }: Change,
): Promise<Reply<200, Tenant>> {
  if (tenantId === PLATFORM_TENANT) throw conflict('The platform’s own tenant has no other status.');
  const reply = await performPlatformWrite<Reply<200, Tenant>>(
    call,
    async (transaction) => {
      const [before] = await transaction.query<Before>(
        `select status, offboarding_ends_at, offboarding_began_by from tenants where tenant_id = $1 for no key update`,
        [tenantId],
      );
      if (before === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such tenant.' });
      const row = await write(transaction, tenantId, decide(before), call.now);
      const audit = {
        action,
        resource_type: 'tenant',
        resource_id: tenantId,
        details: { ...details, previous_status: before.status },
      };
      const other = by === 'operator' ? tenantId : PLATFORM_TENANT;
      return { reply: ok(row), audit, events: [auditEvent(call, { ...audit, tenant_id: other })] };
    },
    { beyondQuota: true },
  );
  call.services.tenants.forget(tenantId);
  return reply;
}

async function write(
  transaction: CrossTenantTransaction,
  tenantId: string,
  after: After,
  now: Date,
): Promise<Tenant> {
  const [row] = await transaction.query<Tenant>(
    `update tenants set status = $2, status_reason = $3, offboarding_ends_at = $4, offboarding_began_by = $5,
            status_changed_at = $6, updated_at = $6, version = version + 1
      where tenant_id = $1 returning ${TENANT_COLUMNS}`,
    [tenantId, after.status, after.reason, after.endsAt, after.beganBy, now],
  );
  if (row === undefined) throw new Error('a row that is locked was not written');
  return row;
}
