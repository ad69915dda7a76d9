import { randomUUID } from 'node:crypto';
import type { RpcInvocationRequest } from '../core-types.ts';
import { describeError, type HostLog } from '../host-log.ts';
import type { TimerFunction } from '../worker/hosted-function.ts';
import { withTimeout, type Invoker } from '../worker/invocation.ts';
import { parseTimerSchedule } from './timer-schedule.ts';
import { checkPastDue, type TimerStatus, type TimerStatusStore } from './timer-status.ts';

/** Node's timers wait 2^31-1 ms at most. A longer wait is split into parts of this length. */
const MAX_WAIT_MS = 24 * 86_400_000;

/** Below this interval Azure keeps no status: the next run comes soon anyway. */
const MONITOR_MIN_INTERVAL_MS = 60_000;

const NO_TIME = '0001-01-01T00:00:00'; // .NET's default date

/** What a timer needs of the host. */
export interface TimerTriggerOptions {
  readonly fn: TimerFunction;
  readonly store: TimerStatusStore;
  readonly invoke: Invoker;
  readonly functionTimeoutMs: number;
  readonly verbose: boolean;
  readonly log: HostLog;
}

/** A trigger that runs on its own until it is stopped. */
export interface RunningTrigger {
  /** Starts no more runs; resolves when the current one ends. */
  stop(): Promise<void>;
}

/** A date as Newtonsoft writes it on a machine whose clock is UTC. */
function formatDate(time: number | null): string {
  return time === null ? NO_TIME : new Date(time).toISOString().replace('Z', '+00:00');
}

/** The invocation of a timer, with the same value as from Azure's host. The library changes its names to camel case. */
export function createTimerRequest(
  fn: TimerFunction,
  status: TimerStatus | undefined,
  isPastDue: boolean,
): RpcInvocationRequest {
  const info = {
    Schedule: { AdjustForDST: true },
    ScheduleStatus: status
      ? {
          Last: formatDate(status.last),
          Next: formatDate(status.next),
          LastUpdated: formatDate(status.lastUpdated),
        }
      : null,
    IsPastDue: isPastDue,
  };
  return {
    invocationId: randomUUID(),
    inputData: [{ name: fn.bindingName, data: { json: JSON.stringify(info) } }],
  };
}

/**
 * Starts a timer. Runs never overlap: if others become due during a run, one run follows directly after it. A failed run
 * counts as done. Throws when the schedule is invalid.
 */
export function startTimerTrigger(options: TimerTriggerOptions): RunningTrigger {
  const { fn, store, log } = options;
  const schedule = parseTimerSchedule(fn.schedule);
  const first = schedule.nextAfter(Date.now());
  const monitored = fn.useMonitor && schedule.nextAfter(first) - first >= MONITOR_MIN_INTERVAL_MS;
  const checked = checkPastDue(monitored ? store.read(fn.name) : undefined, schedule, Date.now());
  let status = checked.status;
  let wait: NodeJS.Timeout | undefined;
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  if (monitored) store.write(fn.name, status);

  async function run(reason: 'schedule' | 'pastDue' | 'startup'): Promise<void> {
    const begun = Date.now();
    if (options.verbose) log({ level: 'information', source: fn.name, message: `Timer fired (${reason})` });
    try {
      const request = createTimerRequest(fn, monitored ? status : undefined, reason === 'pastDue');
      await withTimeout(options.invoke(fn, request), options.functionTimeoutMs);
    } catch (error) {
      log({ level: 'error', source: fn.name, message: `Failed (timer): ${describeError(error)}` });
    }
    // Node's timers may fire a moment early. Without this, the next run would be the same one again.
    const counted = reason === 'schedule' ? Math.max(begun, status.next) : begun;
    status = { last: counted, next: schedule.nextAfter(counted), lastUpdated: counted };
    if (monitored) store.write(fn.name, status);
  }

  function waitForNext(): void {
    if (stopped) return;
    const remaining = status.next - Date.now();
    wait = setTimeout(
      () => {
        if (remaining > MAX_WAIT_MS) waitForNext();
        else fire('schedule');
      },
      Math.min(Math.max(remaining, 0), MAX_WAIT_MS),
    );
  }

  function fire(reason: 'schedule' | 'pastDue' | 'startup'): void {
    if (stopped) return;
    running = run(reason)
      .catch((error: unknown) => {
        log({
          level: 'error',
          source: fn.name,
          message: `The timer's status was not saved: ${describeError(error)}`,
        });
      })
      .then(waitForNext);
  }

  if (checked.isPastDue) fire('pastDue');
  else if (fn.runOnStartup) fire('startup');
  else waitForNext();

  return {
    async stop() {
      stopped = true;
      clearTimeout(wait);
      await running;
    },
  };
}
