import path from 'node:path';
import { auditConsumer } from '../shared/domains/audit/consume-audit.ts';
import { usageConsumer } from '../shared/domains/billing/metering/consume-usage.ts';
import { packEvents } from '../shared/platform/bus/pack-events.ts';
import { openBatch } from '../shared/platform/consume/consume.ts';
import { receivedMessages } from '../shared/platform/consume/received-message.ts';
import { retryWithBackoff } from '../shared/platform/consume/retry-with-backoff.ts';
import { readSettings, type Settings } from '../shared/platform/config/settings.ts';
import { FLUSH_MAX } from '../shared/platform/writes/outbox-publisher.ts';
import { openServices, type Services } from '../functions/services.ts';
import type { Bench, Sizes } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { timeCopy, type CopiedTable } from './copy-rows.ts';
import { makeFigure, type Figure } from './figures.ts';
import { INSPECTABLE } from './host-inspector.ts';
import { profileHost } from './profile-host.ts';
import type { ProcessorMeter } from './processor-time.ts';
import { timeDrain } from './time-drain.ts';
import { undisturbed } from './undisturbed.ts';
import { measureFloor } from './events-floor/measure-floor.ts';
import { makeEvent, packedMessages, type EventKind, type Packing } from './fill-queue.ts';

/** A round's events as a share of the rows. Of a million rows it is enough for some seconds and eight batches an instance. */
const EVENTS_SHARE = 0.12;
/** The share of those events for rounds with one event per message. They are slower, because each message costs time. */
const ALONE_SHARE = 0.4;
/** Messages in a trigger's batch, as in host.json. */
const BATCH = 100;
/** The share of a round's events that warms the hosts up. */
const WARM_UP_SHARE = 0.25;
/** A queue function runs one batch at a time on an instance; a queue that is behind gets more instances. */
const INSTANCES = 3;
/** The seconds of a profile, and enough events for them. */
const PROFILE_S = 4;
const PROFILE_EVENTS = 120_000;

interface Kind {
  readonly kind: EventKind;
  /** Every table that gets a row for an event, also the ledger of consumed events. */
  readonly tables: readonly CopiedTable[];
  /** The table with one row per event. */
  readonly counted: CopiedTable;
  consume(services: Services, messages: Parameters<typeof openBatch>[3]): Promise<void>;
}

function kindsOf(bench: BenchStack): readonly Kind[] {
  const audit = { sql: bench.core, table: 'audit_logs' };
  const usage = { sql: bench.billing, table: 'usage_records' };
  return [
    {
      kind: 'audit',
      tables: [audit],
      counted: audit,
      consume: (services, messages) =>
        openBatch(services, 'audit-events', [auditConsumer], messages).consume(),
    },
    {
      kind: 'usage',
      tables: [
        usage,
        { sql: bench.analytics, table: 'ops.consumed_events' },
        { sql: bench.analytics, table: 'usage_metrics' },
      ],
      counted: usage,
      consume: (services, messages) =>
        openBatch(services, 'usage-events', [usageConsumer], messages).consume(),
    },
  ];
}

async function countRows({ sql, table }: CopiedTable): Promise<number> {
  const [row] = await sql.unsafe<{ rows: number }[]>(`select count(*)::int as rows from ${table}`);
  return row?.rows ?? 0;
}

async function empty(kind: Kind): Promise<void> {
  for (const { sql, table } of kind.tables) await sql.unsafe(`truncate ${table}`);
  await kind.counted.sql.unsafe('checkpoint');
}

/** Events a second from the queue through the trigger to their rows. */
async function measureTriggers(
  bench: BenchStack,
  settings: Settings,
  { kind, events, packing }: { readonly kind: Kind; readonly events: number; readonly packing: Packing },
  profile?: string,
): Promise<{ perSecond: number; costs: string; profile: string | undefined }> {
  await empty(kind);
  await Promise.all(bench.hosts.map((host) => host.stop()));
  let profiled: Promise<string> | undefined;
  let meter: ProcessorMeter | undefined;
  const { perSecond, measured } = await timeDrain(settings, {
    kind: kind.kind,
    events,
    packing,
    warmUpShare: WARM_UP_SHARE,
    start: () => Promise.all(bench.hosts.map((host) => host.start())),
    onWarm() {
      meter = bench.meter();
      if (profile === undefined) return;
      const file = path.join(profile, `events-${kind.kind}.cpuprofile`);
      profiled = profileHost(bench.stack, PROFILE_S, file);
    },
  });
  const costs = describeCosts(meter, measured);
  const rows = await countRows(kind.counted);
  if (rows !== events) throw new Error(`${rows} of ${events} events were written`);
  return { perSecond, costs, profile: await profiled };
}

function describeCosts(meter: ProcessorMeter | undefined, events: number): string {
  return Object.entries(meter?.seconds() ?? {})
    .map(([name, seconds]) => `${name} ${((seconds / events) * 1e6).toFixed(0)}`)
    .join(', ');
}

/** Events a second through only the trigger's function: the same batches as from the trigger, one after the other. */
async function measureFunction(
  bench: BenchStack,
  services: Services,
  kind: Kind,
  events: number,
): Promise<{ perSecond: number; costs: string }> {
  await empty(kind);
  const now = new Date();
  const messages = Array.from({ length: Math.ceil(events / FLUSH_MAX) }, () =>
    packedMessages(
      Array.from({ length: FLUSH_MAX }, () => makeEvent(kind.kind, now)),
      'shared',
    ),
  ).flat();
  const received = receivedMessages(messages.map(({ body }) => body as unknown));
  const meter = bench.meter({ 'the function': process.pid });
  const startedAt = performance.now();
  // Like the trigger's handler.
  for (let from = 0; from < received.length; from += BATCH)
    await retryWithBackoff(() => kind.consume(services, received.slice(from, from + BATCH)));
  const perSecond = events / ((performance.now() - startedAt) / 1000);
  return { perSecond, costs: describeCosts(meter, events) };
}

/** Results for one kind of events, one value per round. */
interface Rounds {
  readonly shared: number[];
  readonly single: number[];
  readonly floor: number[];
  readonly alone: number[];
  readonly copied: number[];
}

interface EventsContext {
  readonly bench: BenchStack;
  readonly settings: Settings;
  readonly services: Services;
  readonly say: (line: string) => void;
}

async function measureRound(
  { bench, settings, services, say }: EventsContext,
  kind: Kind,
  events: number,
  rounds: Rounds,
): Promise<void> {
  const alone = await undisturbed(() => measureFunction(bench, services, kind, events), say);
  rounds.alone.push(alone.perSecond);
  const few = wholeFlushes(events * ALONE_SHARE);
  const single = await undisturbed(
    () => measureTriggers(bench, settings, { kind, events: few, packing: 'alone' }),
    say,
  );
  rounds.single.push(single.perSecond);
  const shared = await undisturbed(
    () => measureTriggers(bench, settings, { kind, events, packing: 'shared' }),
    say,
  );
  rounds.shared.push(shared.perSecond);
  rounds.copied.push(events / (await timeCopy(kind.tables)));
  await Promise.all(bench.hosts.map((host) => host.stop()));
  const idle = { kind: kind.kind, events, packing: 'shared' as const, warmUpShare: WARM_UP_SHARE };
  rounds.floor.push(await undisturbed(() => measureFloor(bench, settings, INSTANCES, idle), say));
  await Promise.all(bench.hosts.map((host) => host.start()));
  const last = Object.entries(rounds).map(
    ([name, values]: [string, number[]]) => `${name} ${values.at(-1)?.toFixed(0) ?? ''}/s`,
  );
  say(`  ${kind.kind}: ${last.join(', ')}`);
  say(`    µs of processor an event through its trigger: ${shared.costs}`);
  say(`    one event a message: ${single.costs}`);
  say(`    the function alone: ${alone.costs}`);
}

function wholeFlushes(events: number): number {
  return Math.ceil(events / FLUSH_MAX) * FLUSH_MAX;
}

function figuresOf({ kind, tables }: Kind, events: number, rounds: Rounds): Figure[] {
  const baseline = { name: 'COPY of the same rows', unit: '/s', values: rounds.copied };
  const whole = { name: `${kind} events, queue to row`, unit: '/s', values: rounds.shared };
  const packed = packEvents(Array.from({ length: FLUSH_MAX }, () => makeEvent(kind, new Date())));
  const perMessage = FLUSH_MAX / packed.length;
  return [
    makeFigure({
      bench: 'events',
      name: `${kind} events through broker and trigger ÷ COPY`,
      candidate: whole,
      baseline,
      target: { bound: 'at least', value: 0.3 },
      notes: [
        `${perMessage} events a message, as the publisher packs a full flush of ${FLUSH_MAX} writes`,
        `into ${tables.map(({ table }) => table).join(', ')}; ${events} events a round; ${INSTANCES} instances, the broker and PostgreSQL share the machine`,
      ],
    }),
    makeFigure({
      bench: 'events',
      name: `${kind} events one a message ÷ COPY`,
      candidate: { name: `${kind} events, one a message`, unit: '/s', values: rounds.single },
      baseline,
      notes: ['like a producer that sends one event per message'],
    }),
    makeFigure({
      bench: 'events',
      name: `${kind} events through broker and trigger ÷ the same to a function that does nothing`,
      candidate: whole,
      baseline: { name: 'broker, SDK and trigger alone', unit: '/s', values: rounds.floor },
    }),
    makeFigure({
      bench: 'events',
      name: `${kind} events, the function alone ÷ COPY`,
      candidate: {
        name: `${kind} events in batches of ${BATCH} messages`,
        unit: '/s',
        values: rounds.alone,
      },
      baseline,
      notes: ['the rate if broker and trigger run on other machines; one batch after the other'],
    }),
  ];
}

async function measure(bench: BenchStack, sizes: Sizes, say: (line: string) => void): Promise<Figure[]> {
  const settings = readSettings({ ...bench.stack.settings });
  const services = openServices(settings);
  const events = wholeFlushes(sizes.rows * EVENTS_SHARE);
  const figures: Figure[] = [];
  try {
    for (const kind of kindsOf(bench)) {
      const rounds: Rounds = { shared: [], single: [], floor: [], alone: [], copied: [] };
      await measureFunction(bench, services, kind, events); // warm-up, so that its code is compiled
      for (let round = 0; round < sizes.rounds; round += 1)
        await measureRound({ bench, settings, services, say }, kind, events, rounds);
      if (sizes.profileFolder !== undefined) {
        const profiled = { kind, events: PROFILE_EVENTS, packing: 'shared' as const };
        const { profile } = await measureTriggers(bench, settings, profiled, sizes.profileFolder);
        say(`  profile of a host, ${kind.kind} events: ${profile ?? ''}`);
      }
      figures.push(...figuresOf(kind, events, rounds));
    }
    return figures;
  } finally {
    await services.close();
  }
}

/** What metering and auditing cost from the queue to the database. */
export const eventsBench: Bench = {
  name: 'events',
  what: 'audit and usage events through their triggers ÷ COPY of the same rows into the same tables',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('queues alone', {
      settings: sizes.profileFolder === undefined ? {} : INSPECTABLE,
      instances: INSTANCES,
    });
    try {
      return await measure(bench, sizes, say);
    } finally {
      await bench.stop();
    }
  },
};
