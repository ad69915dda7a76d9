import type Stripe from 'stripe';
import { inParallel } from '../../../platform/blob/in-parallel.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { faultOf } from '../../../platform/db/errors.ts';
import type { JobRun } from '../../../platform/jobs/job.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { DAY_MS, systemClock } from '../../../platform/time/clock.ts';
import { isStripeUnavailable } from '../stripe/client.ts';
import { openMismatch } from '../stripe/mismatches.ts';
import { liveSql } from '../subscriptions/live-states.ts';
import { syncObject } from '../sync/sync-object.ts';
import type { StripeRef } from '../sync/work.ts';
import { OBJECTS_AT_ONCE } from './process-events.ts';
import { PHASES, type ReconcilePosition } from './reconcile-position.ts';

/** How often all objects are compared. Events are the usual way; this finds what no event told. */
const EVERY_MS = DAY_MS;

const PAGE = 100;

/** After so many objects of a page that Stripe did not answer for, Stripe counts as away. */
const UNANSWERED_MAX = 3;

/** Whether a pass is due, or was not finished. */
export function isComparingDue({ compared_at: last, comparing }: ReconcilePosition, now: Date): boolean {
  return (
    comparing !== undefined || last === undefined || Math.abs(now.getTime() - Date.parse(last)) >= EVERY_MS
  );
}

type Phase = (typeof PHASES)[number];

/** Objects to compare, and where the next page begins. */
interface ObjectPage {
  readonly refs: readonly StripeRef[];
  /** Undefined at the end. */
  readonly next: string | undefined;
}

/**
 * Compares the rows of live subscriptions and open invoices with Stripe, and looks for those that Stripe has and we do not. What
 * differs is mended and listed as a mismatch of the kind `mended`, until another sync of the object finds no difference. Saves each page's end.
 * @throws what Stripe's SDK and the database throw.
 */
export async function compareObjects(
  run: JobRun,
  stripe: Stripe,
  position: ReconcilePosition,
  goOn: () => boolean,
): Promise<ReconcilePosition> {
  let at = position;
  let current: ReconcilePosition['comparing'] = at.comparing ?? { phase: PHASES[0], after: '' };
  while (current !== undefined && goOn()) {
    const phase: Phase = current.phase;
    const page: ObjectPage = await readPage(run, stripe, current);
    await comparePage(run, page.refs);
    current = page.next === undefined ? phaseAfter(phase) : { phase, after: page.next };
    const { comparing: _ended, ...rest } = at;
    at =
      current === undefined
        ? { ...rest, compared_at: run.now.toISOString() }
        : { ...rest, comparing: current };
    await run.savePosition(at);
  }
  return at;
}

function phaseAfter(phase: Phase): ReconcilePosition['comparing'] {
  const next = PHASES[PHASES.indexOf(phase) + 1];
  return next === undefined ? undefined : { phase: next, after: '' };
}

function readPage(
  run: JobRun,
  stripe: Stripe,
  { phase, after }: NonNullable<ReconcilePosition['comparing']>,
): Promise<ObjectPage> {
  switch (phase) {
    case 'subscriptions_here':
      // A tenant has one live subscription.
      return readOwn(run, 'subscription', after, [
        `select tenant_id as position, stripe_subscription_id as id from user_subscriptions
          where ${liveSql()} and tenant_id > $1 order by tenant_id limit ${PAGE}`,
        [after],
      ]);
    case 'invoices_here': {
      const [tenantId = '', invoiceId = NO_ID] = after.split(' ');
      return readOwn(run, 'invoice', after, [
        `select tenant_id || ' ' || invoice_id as position, stripe_invoice_id as id from billing_invoices
          where status = 'open' and (tenant_id, invoice_id) > ($1, $2::uuid) order by tenant_id, invoice_id limit ${PAGE}`,
        [tenantId, invoiceId],
      ]);
    }
    case 'subscriptions_there':
      return readUnknown(run, 'subscription', stripe.subscriptions.list(pageAfter(after)));
    case 'invoices_there':
      return readUnknown(run, 'invoice', stripe.invoices.list({ ...pageAfter(after), status: 'open' }));
    default:
      return phase satisfies never;
  }
}

const NO_ID = '00000000-0000-0000-0000-000000000000';

const pageAfter = (after: string) => ({ limit: PAGE, ...(after === '' ? {} : { starting_after: after }) });

interface OwnRow {
  readonly [column: string]: unknown;
  readonly position: string;
  /** Null for a subscription that an operator gave. */
  readonly id: string | null;
}

async function readOwn(
  run: JobRun,
  type: string,
  after: string,
  [text, parameters]: readonly [string, readonly string[]],
): Promise<ObjectPage> {
  const rows = await inBatch(run.services.crossTenant.billing, (transaction) =>
    transaction.query<OwnRow>(text, parameters),
  );
  const refs = rows.flatMap(({ id }) => (id === null ? [] : [{ type, id }]));
  return { refs, next: rows.length < PAGE ? undefined : (rows.at(-1)?.position ?? after) };
}

const LISTED = recordset({ customer: 'text', id: 'text' });

/** Which of Stripe's objects have no row: by their customer's tenant, whose keys all tables begin with. */
const UNKNOWN_SQL: Readonly<Record<'subscription' | 'invoice', string>> = {
  subscription: `select l.id from ${LISTED.from('l', 1)}
    where not exists (select from ops.stripe_customers c join user_subscriptions s on s.tenant_id = c.tenant_id
                       where c.stripe_customer_id = l.customer and s.stripe_subscription_id = l.id)`,
  invoice: `select l.id from ${LISTED.from('l', 1)}
    where not exists (select from ops.stripe_customers c join billing_invoices i on i.tenant_id = c.tenant_id
                       where c.stripe_customer_id = l.customer and i.stripe_invoice_id = l.id)`,
};

interface Listed {
  readonly id: string;
  readonly customer: string | { readonly id: string } | null;
}

async function readUnknown(
  run: JobRun,
  type: 'subscription' | 'invoice',
  list: Promise<{ readonly data: readonly Listed[]; readonly has_more: boolean }>,
): Promise<ObjectPage> {
  const { data, has_more: hasMore } = await list;
  const listed = data.map(({ id, customer }) => ({
    id,
    customer: typeof customer === 'string' ? customer : (customer?.id ?? ''),
  }));
  const unknown = await inBatch(run.services.crossTenant.billing, (transaction) =>
    transaction.query<{ id: string }>(UNKNOWN_SQL[type], LISTED.parameters(listed)),
  );
  return { refs: unknown.map(({ id }) => ({ type, id })), next: hasMore ? data.at(-1)?.id : undefined };
}

/** @throws Stripe's error, if it did not answer for several objects: then the page is compared again. */
async function comparePage(run: JobRun, refs: readonly StripeRef[]): Promise<void> {
  const { progress } = run;
  const underway = await findUnderway(run, refs);
  const compared = refs.filter(({ id }) => !underway.has(id));
  const unanswered: unknown[] = [];
  const results = await inParallel(compared, OBJECTS_AT_ONCE, async (ref) => {
    if (unanswered.length >= UNANSWERED_MAX) return 'skipped';
    try {
      return await compareOne(run, ref);
    } catch (error) {
      if (faultOf(error) === 'unavailable') throw error;
      if (isStripeUnavailable(error)) unanswered.push(error);
      // One object must not stop the pass at its page for ever. The next pass tries it again.
      log.warn('stripe-object-not-compared', { object: ref.type, ...errorFields(error) });
      return 'skipped';
    }
  });
  if (unanswered.length >= UNANSWERED_MAX) throw unanswered[0];
  progress.examined += compared.length;
  for (const result of results) count(progress.details, `objects_${result}`);
}

function count(details: Record<string, unknown>, name: string): void {
  details[name] = Number(details[name] ?? 0) + 1;
}

/** The objects with an event that waits. They differ because it waits, and it mends them. */
async function findUnderway({ services }: JobRun, refs: readonly StripeRef[]): Promise<ReadonlySet<string>> {
  if (refs.length === 0) return new Set();
  const rows = await inBatch(services.crossTenant.billing, (transaction) =>
    transaction.query<{ object_id: string }>(
      `select object_id from stripe_events where status = 'received' and object_id = any($1::text[])`,
      [refs.map(({ id }) => id)],
    ),
  );
  return new Set(rows.map(({ object_id: id }) => id));
}

async function compareOne({ services }: JobRun, ref: StripeRef): Promise<'equal' | 'mended'> {
  // Whatever moment the run works as of: what Stripe says is of this moment.
  const now = systemClock.now();
  const { outcome, tenantId } = await syncObject(services, ref, now);
  // Then a difference of an earlier pass is resolved: each sync resolves what it does not find.
  if (outcome !== 'written' && outcome !== 'gone') return 'equal';
  const details = { outcome, found_by: 'reconcile' };
  await openMismatch(
    services.crossTenant.billing,
    { kind: 'mended', objectType: ref.type, objectId: ref.id, tenantId, details },
    now,
  );
  return 'mended';
}
