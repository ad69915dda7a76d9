import { QUEUES } from '../../platform/bus/queues.ts';
import { openInQuarantine } from '../../platform/consume/quarantine.ts';
import type { DatabaseName } from '../../platform/call/call.ts';
import type { Job, JobRun, JobServices } from '../../platform/jobs/job.ts';
import { lastCompleted } from '../../platform/jobs/run-ledger.ts';
import { errorFields, log } from '../../platform/log/log.ts';
import { setGauge, type Measured } from '../../platform/telemetry/metrics.ts';
import { MINUTE_MS } from '../../platform/time/clock.ts';
import { NO_QUEUE } from '../../platform/writes/outbox-relay.ts';
import { measureOutbox } from '../../platform/writes/outbox.ts';
import { GAUGES_JOB } from './stored-gauges.ts';

/** One look takes milliseconds. A part that is down takes its own time limit. */
const BUDGET_MS = 40_000;
/** Three runs. After that the last values say nothing about now. */
const TOLD_MS = 3 * MINUTE_MS;
/** Dead letters that are looked at. Their bodies come along. */
const DEAD_MAX = 50;
const DATABASES: readonly DatabaseName[] = ['core', 'billing', 'analytics'];

/** What the job measures of other domains' tables. */
export interface OtherMeasures {
  /** The names of the app's jobs. */
  readonly jobs: () => readonly string[];
  readonly recordsOverdue: (services: JobServices, now: Date) => Promise<number>;
  readonly stripe: (
    services: JobServices,
  ) => Promise<{ readonly mismatches: number; readonly waiting: number }>;
}

type Measure = () => Promise<readonly Measured[]>;

/**
 * Measures once for the whole app what each instance would otherwise ask the databases for: outboxes, queues, lags. The values go to
 * the exporter of the process that runs it, and to the job's position, from which any process tells them. A part that cannot be
 * measured has no value; the others have. Then the run fails.
 */
export function telemetryGaugesJob(others: OtherMeasures): Job {
  return {
    name: GAUGES_JOB,
    budgetMs: BUDGET_MS,
    async run(run) {
      const measured: Measured[] = [];
      const failures: unknown[] = [];
      for (const [part, measure] of Object.entries(measuresOf(run, others))) {
        try {
          measured.push(...(await measure()));
        } catch (error) {
          log.warn('gauges-not-measured', { part, run_id: run.runId, ...errorFields(error) });
          failures.push(error);
        }
      }
      for (const { name, attributes, value } of measured) setGauge(name, attributes as never, value, TOLD_MS);
      await run.savePosition({ measured_at: run.now.toISOString(), values: measured });
      if (failures.length > 0) throw failures[0];
      return 'completed';
    },
  };
}

function measuresOf({ services, now }: JobRun, others: OtherMeasures): Record<string, Measure> {
  const { core } = services.crossTenant;
  const age = (at: string | Date | null): number =>
    at === null ? 0 : Math.max(0, (now.getTime() - new Date(at).getTime()) / 1000);
  return {
    ...Object.fromEntries(
      DATABASES.map((database) => [
        `outbox_${database}`,
        async () => {
          const { rows, oldest } = await measureOutbox(services.crossTenant[database]);
          return [
            gauge('outbox_rows', rows, { database }),
            gauge('outbox_oldest_seconds', age(oldest), { database }),
          ];
        },
      ]),
    ),
    ...Object.fromEntries(
      QUEUES.map(({ name: queue }) => [
        `queue_${queue}`,
        async () => {
          const [first] = await services.bus.peek(queue, { dead: false, limit: 1 });
          const dead = await services.bus.peek(queue, { dead: true, limit: DEAD_MAX });
          return [
            gauge('queue_oldest_seconds', age(first ?? null), { queue }),
            gauge('queue_dead_letters', dead.length, { queue }),
          ];
        },
      ]),
    ),
    quarantine: async () => {
      const open = await openInQuarantine(core);
      return [...QUEUES.map(({ name }) => name), NO_QUEUE].map((queue) =>
        gauge('quarantine_open', open.get(queue) ?? 0, { queue }),
      );
    },
    jobs: async () =>
      [...(await lastCompleted(core, others.jobs()))].map(([job, at]) =>
        gauge('job_lag_seconds', age(at), { job }),
      ),
    records: async () => [gauge('records_overdue', await others.recordsOverdue(services, now))],
    stripe: async () => {
      const { mismatches, waiting } = await others.stripe(services);
      return [gauge('stripe_mismatches_open', mismatches), gauge('stripe_events_waiting', waiting)];
    },
    data_keys: async () => [gauge('data_keys_to_rewrap', await services.dataKeys.countOutdated())],
  };
}

function gauge(name: Measured['name'], value: number, attributes: Record<string, string> = {}): Measured {
  return { name, attributes, value };
}
