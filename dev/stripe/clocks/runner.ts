import type Stripe from 'stripe';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StandIn } from '../api/stand-in.ts';
import { runFirstDue } from './run-due.ts';

const LOOK_MS = 1000;

/** Does what is due in the machine's time, for customers without a test clock. Returns how much was done. */
export function runMachineTime(standIn: StandIn, skip?: Set<string>): number {
  const until = Math.floor(standIn.now() / 1000);
  let done = 0;
  while (runFirstDue(standIn, { testClock: null, until, ...(skip === undefined ? {} : { skip }) })) done += 1;
  return done;
}

type TestClock = Stripe.TestHelpers.TestClock;

/** The time that a clock is on its way to; undefined for one that is not. */
function findTarget({ store }: StandIn, id: string): number | undefined {
  return store.get('test_helpers.test_clock', id)?.status_details.advancing?.target_frozen_time;
}

function stopClock(
  standIn: StandIn,
  id: string,
  status: 'internal_failure' | 'ready',
  time: number | null,
): void {
  standIn.perform(null, (context) => {
    const before = context.find('test_helpers.test_clock', id);
    const after: TestClock = {
      ...before,
      frozen_time: time ?? before.frozen_time,
      status,
      status_details: {},
    };
    context.change(`test_helpers.test_clock.${status}`, before, after);
  });
}

/** Brings clocks to their time, one thing that is due after the other; requests are answered in between. */
class ClockRunner {
  readonly #standIn: StandIn;
  readonly #running = new Map<string, Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  /** What has failed in the machine's time; trying it again each second would only fill the log. */
  readonly #failed = new Set<string>();
  #isClosed = false;

  constructor(standIn: StandIn) {
    this.#standIn = standIn;
    const look = (): void => void runMachineTime(standIn, this.#failed);
    this.#timer = setInterval(look, LOOK_MS).unref();
    look();
    standIn.onReset(() => {
      this.#failed.clear();
    });
    standIn.onEvents((events) => {
      if (events.some(({ type }) => type === 'test_helpers.test_clock.advancing')) this.#findAdvancing();
    });
    this.#findAdvancing(); // a stop may have come in between
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await Promise.all(this.#running.values());
  }

  #findAdvancing(): void {
    for (const { id } of this.#standIn.store.list(
      'test_helpers.test_clock',
      ({ status }) => status === 'advancing',
    ))
      if (!this.#running.has(id)) this.#running.set(id, this.#advance(id));
  }

  async #advance(id: string): Promise<void> {
    try {
      for (;;) {
        await nextTurn();
        const target = findTarget(this.#standIn, id);
        if (this.#isClosed || target === undefined) return;
        if (runFirstDue(this.#standIn, { testClock: id, until: target })) continue;
        stopClock(this.#standIn, id, 'ready', target);
        return;
      }
    } catch (error) {
      console.error(`the Stripe stand-in could not advance ${id}:`, error);
      stopClock(this.#standIn, id, 'internal_failure', null);
    } finally {
      this.#running.delete(id);
    }
  }
}

export function startClockRunner(standIn: StandIn): { close(): Promise<void> } {
  return new ClockRunner(standIn);
}
