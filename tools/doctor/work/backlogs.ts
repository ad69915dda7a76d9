import { countStuckEvents } from '../../../shared/domains/billing/events/due-events.ts';
import { countOverdueAllowances } from '../../../shared/domains/billing/metering/free-tier.ts';
import { countOpenMismatches } from '../../../shared/domains/billing/stripe/mismatches.ts';
import { openInQuarantine } from '../../../shared/platform/consume/quarantine.ts';
import { measureOutbox } from '../../../shared/platform/writes/outbox.ts';
import { HOUR_MS, MINUTE_MS } from '../../../shared/platform/time/clock.ts';
import { DATABASES } from '../../migrate/databases.ts';
import { count, ok, orOk, problem, warning, type Check, type Finding } from '../check.ts';

/** The relay runs each minute, and sends what is older than that. */
const OUTBOX_NOTICED_MS = 5 * MINUTE_MS;
/** An hour of events that nobody has counted, audited or archived. */
const OUTBOX_LATE_MS = HOUR_MS;

/** What waits to be sent to Service Bus. */
export const outbox: Check = {
  name: 'outbox',
  group: 'work',
  looksAt: 'how long events wait in the outbox of each database',
  async run(patient) {
    const now = patient.clock.now().getTime();
    const findings = await Promise.all(
      DATABASES.map(async (database): Promise<Finding[]> => {
        const { rows, oldest } = await measureOutbox(await patient.crossTenant(database));
        const ageMs = oldest === null ? 0 : now - Date.parse(oldest);
        if (ageMs <= OUTBOX_NOTICED_MS) return [];
        const text = `${database}: ${count(rows, 'write')} waiting, the oldest for ${Math.round(ageMs / MINUTE_MS)} min`;
        const remedy =
          'see queues (Service Bus) and jobs (outbox-relay); then POST /api/v1/platform/jobs/outbox-relay/runs as an operator, see docs/runbooks/outbox-not-drained.md';
        return [ageMs > OUTBOX_LATE_MS ? problem(text, remedy) : warning(text, remedy)];
      }),
    );
    return orOk(findings.flat(), 'nothing waits for long');
  },
};

/** What no consumer could write. */
export const quarantine: Check = {
  name: 'quarantine',
  group: 'work',
  looksAt: 'messages in quarantine that nobody has resolved',
  async run(patient) {
    const open = await openInQuarantine(await patient.crossTenant('core'));
    const findings = [...open].map(([queue, messages]) =>
      warning(
        `${queue}: ${count(messages, 'message')}`,
        'GET /api/v1/platform/quarantine?status=open as an operator; then POST …/{id}/replay or …/{id}/discard, see docs/runbooks/quarantine-open.md',
      ),
    );
    return orOk(findings, 'none');
  },
};

/** The timer resets every five minutes. */
const RESET_LATE_MS = 15 * MINUTE_MS;

/** Allowances whose period is over. Requests see it at once; what nobody asks for waits for the timer. */
export const allowances: Check = {
  name: 'allowances',
  group: 'work',
  looksAt: 'allowances whose period is over and that were not reset',
  async run(patient) {
    const before = new Date(patient.clock.now().getTime() - RESET_LATE_MS);
    const overdue = await countOverdueAllowances(await patient.crossTenant('billing'), before);
    return overdue === 0
      ? ok('none')
      : warning(
          `${count(overdue, 'allowance')} should have been reset`,
          'see jobs (free-tier-reset); then POST /api/v1/platform/jobs/free-tier-reset/runs as an operator',
        );
  },
};

/** Longer than the timer takes to try again after Stripe was away. */
const EVENTS_LATE_MS = HOUR_MS;

/** What came from Stripe and has no effect yet. */
export const stripeEvents: Check = {
  name: 'stripe-events',
  group: 'work',
  looksAt: 'events of Stripe that failed or wait, and open differences to Stripe',
  async run(patient) {
    const billing = await patient.crossTenant('billing');
    const before = new Date(patient.clock.now().getTime() - EVENTS_LATE_MS);
    const { failed, late } = await countStuckEvents(billing, before);
    const mismatches = await countOpenMismatches(billing);
    const findings: Finding[] = [];
    if (failed > 0)
      findings.push(
        warning(
          `${count(failed, 'event')} failed`,
          'GET /api/v1/platform/billing/events?status=failed as an operator; correct the cause, POST …/{event_id}/replay',
        ),
      );
    if (late > 0)
      findings.push(
        warning(
          `${count(late, 'event')} waiting for more than an hour`,
          'see stripe-key, queues and jobs (stripe-reconcile), and docs/runbooks/stripe-behind.md',
        ),
      );
    if (mismatches > 0)
      findings.push(
        warning(
          `${count(mismatches, 'open difference')} to Stripe`,
          'GET /api/v1/platform/billing/mismatches as an operator, see docs/billing.md#what-to-watch',
        ),
      );
    return orOk(findings, 'none that failed or waits, no open difference');
  },
};
