import { setTimeout as delay } from 'node:timers/promises';
import { afterAll } from 'vitest';
import { until } from '../harness/app.ts';
import type { Disagreements } from './disagreements.ts';
import { notePids, startFaultStack, type FaultStack, type FaultStackOptions } from './fault-stack.ts';
import { Ledger } from './ledger.ts';
import { Load } from './load.ts';
import { Noise } from './noise.ts';
import { Producer } from './producer.ts';
import { openRandom, type Random } from './random.ts';
import { readBacklog } from './settle.ts';
import type { Tolerated } from './verify-answers.ts';
import { expectNoProcess } from './verify-leftovers.ts';
import { verify } from './verify.ts';

/** New requests a second, of all tenants together. */
const PER_SECOND = 70;
/** Before the fault, and after it. */
const CALM_MS = 1_200;
/** The relay skips younger rows: the publisher sends them. */
const RELAY_AGE_S = 9;

/** Writes need the core database, and a free tenant's the billing database. */
export const MAY_BE_AWAY: Tolerated = { unavailable: true, unanswered: false };
/** No request waits for cache, bus or blobs: without them nothing may be refused. */
export const ALL_SERVED: Tolerated = { unavailable: false, unanswered: false };
/** The host itself is stopped. */
export const MAY_BREAK_OFF: Tolerated = { unavailable: false, unanswered: true };

/** A scenario: what happens to the stack, and what is checked. */
export interface Fault {
  readonly tolerated: Tolerated;
  readonly fault: () => Promise<void>;
  /** Runs after all waiting work is done, before the checks. */
  readonly repair?: () => Promise<void>;
  readonly also?: (found: Disagreements) => void;
  /** The host's clock at the end. */
  readonly clockOffsetMs?: number;
}

/** One stack with its ledger. Scenarios run on it one after the other. */
export interface Scene {
  readonly faults: FaultStack;
  readonly ledger: Ledger;
  readonly random: Random;
  /** Runs a steady load before, during and after the fault, then verifies. */
  play: (scenario: Fault) => Promise<void>;
  /** Runs a scenario with its own load, then verifies. */
  playQuietly: (scenario: Fault) => Promise<void>;
  /** Sends writes within `ms`. Resolves when all are answered. */
  write: (perSecond: number, ms: number) => Promise<void>;
  /** Checks that the publisher empties the outbox before the relay may. */
  expectPublished: () => Promise<void>;
}

/** Starts a stack for a test file. It stops with the file and must leave nothing behind. Call it at the top level. */
export async function openScene(options: FaultStackOptions = {}): Promise<Scene> {
  const random = openRandom();
  const faults = await startFaultStack(options);
  const { stack, client, tenants } = faults;
  const ledger = new Ledger();
  const noise = new Noise(client);
  afterAll(async () => {
    noise.stop();
    await faults.stop();
    await expectNoProcess(faults);
  });
  const steady = (perSecond: number): Load => new Load({ client, tenants, ledger, random, perSecond });
  const playQuietly = async ({ fault, ...given }: Fault): Promise<void> => {
    const since = performance.now();
    await fault();
    notePids(faults);
    await verify({ faults, ledger, noise, random, since, ...given });
  };
  const write = async (perSecond: number, ms: number): Promise<void> => {
    const load = steady(perSecond);
    await delay(ms);
    await load.stop();
  };
  return {
    faults,
    ledger,
    random,
    playQuietly,
    write,
    play: ({ fault, ...given }) =>
      playQuietly({
        ...given,
        async fault() {
          const load = steady(PER_SECOND);
          const producer = new Producer({
            connectionString: stack.file.service_bus,
            tenants,
            ledger,
            random,
          });
          try {
            await delay(CALM_MS);
            await fault();
            await delay(CALM_MS);
          } finally {
            await Promise.all([load.stop(), producer.stop()]);
          }
        },
      }),
    async expectPublished() {
      await write(40, 500);
      await until(
        () => readBacklog(faults),
        ({ outbox }) => outbox === 0,
        RELAY_AGE_S,
      );
    },
  };
}
