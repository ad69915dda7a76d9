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

/** Requests begun a second, from all tenants together. */
const PER_SECOND = 70;
/** Before the fault, and after it. */
const CALM_MS = 1_200;
/** The relay leaves younger rows to the publisher. */
const RELAY_AGE_S = 9;

/** Writes need the core database, and a free tenant's the billing database. */
export const MAY_BE_AWAY: Tolerated = { unavailable: true, unanswered: false };
/** A request never waits for a cache, a bus or a blob: with them gone nothing may be refused. */
export const ALL_SERVED: Tolerated = { unavailable: false, unanswered: false };
/** The host itself is away. */
export const MAY_BREAK_OFF: Tolerated = { unavailable: false, unanswered: true };

/** What a scenario does to the stack, and what else is to hold of it. */
export interface Fault {
  readonly tolerated: Tolerated;
  readonly fault: () => Promise<void>;
  /** What has to be done once everything that waits is done, before it is checked. */
  readonly mend?: () => Promise<void>;
  readonly also?: (found: Disagreements) => void;
  /** Where the host's clock stands at the end. */
  readonly clockOffsetMs?: number;
}

/** One stack with its ledger, on which scenarios are played one after the other. */
export interface Scene {
  readonly faults: FaultStack;
  readonly ledger: Ledger;
  readonly random: Random;
  /** Lets a steady load run into the fault, through it and out of it, then verifies. */
  play: (scenario: Fault) => Promise<void>;
  /** Verifies what a load of the scenario's own did. */
  playQuietly: (scenario: Fault) => Promise<void>;
  /** Some writes within `ms`; resolves once all are answered. */
  write: (perSecond: number, ms: number) => Promise<void>;
  /** What is written now leaves the outbox by itself, before any relay may take it. */
  expectPublished: () => Promise<void>;
}

/** Starts a stack for a test file; it ends with the file, and must leave nothing. Call it at the top level. */
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
