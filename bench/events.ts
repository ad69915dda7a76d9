import path from 'node:path';
import { auditConsumer } from '../shared/domains/audit/consume-audit.ts';
import { usageConsumer } from '../shared/domains/billing/consume-usage.ts';
import { consumeBatch } from '../shared/platform/consume/consume.ts';
import { retryWithBackoff } from '../shared/platform/consume/retry-with-backoff.ts';
import { readSettings, type Settings } from '../shared/platform/config/settings.ts';
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
import { makeEvent, type EventKind } from './fill-queue.ts';

/** Events of a round, where rows are a million: enough for some seconds. */
const EVENTS_SHARE = 0.06;
/** As host.json has it: the triggers' batches. */
const BATCH = 200;
/** Of a round's events, those that warm the hosts up. */
const WARM_UP_SHARE = 0.25;
/** A queue function runs one batch at a time on an instance; a queue that is behind gets more instances. */
const INSTANCES = 3;
/** Seconds of a profile, and events enough for them. */
const PROFILE_S = 4;
const PROFILE_EVENTS = 40_000;

interface Kind {
  readonly kind: EventKind;
  /** Every table that an event leaves a row in, the ledger of what was consumed among them. */
  readonly tables: readonly CopiedTable[];
  /** The table with one row an event. */
  readonly counted: CopiedTable;
  consume(services: Services, messages: Parameters<typeof consumeBatch>[3]): Promise<void>;
}

function kindsOf(bench: BenchStack): readonly Kind[] {
  const audit = { sql: bench.core, table: 'audit_logs' };
  const usage = { sql: bench.billing, table: 'usage_records' };
  return [
    {
      kind: 'audit',
      tables: [audit],
      counted: audit,
      consume: (services, messages) => consumeBatch(services, 'audit-events', [auditConsumer], messages),
    },
    {
      kind: 'usage',
      tables: [
        usage,
        { sql: bench.analytics, table: 'ops.consumed_events' },
        { sql: bench.analytics, table: 'usage_metrics' },
      ],
      counted: usage,
      consume: (services, messages) => consumeBatch(services, 'usage-events', [usageConsumer], messages),
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

/** Events a second through queue and trigger, to their rows. */
async function measureTriggers(
  bench: BenchStack,
  settings: Settings,
  kind: Kind,
  events: number,
  profile?: string,
): Promise<{ perSecond: number; costs: string; profile: string | undefined }> {
  await empty(kind);
  await Promise.all(bench.hosts.map((host) => host.stop()));
  let profiled: Promise<string> | undefined;
  let meter: ProcessorMeter | undefined;
  const { perSecond, measured } = await timeDrain(settings, {
    kind: kind.kind,
    events,
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

/** Events a second through the trigger's function alone: batches as the trigger hands them over, one after the other. */
async function measureFunction(services: Services, kind: Kind, events: number): Promise<number> {
  await empty(kind);
  const now = new Date();
  const batches = Array.from({ length: Math.ceil(events / BATCH) }, (_, n) =>
    Array.from({ length: Math.min(BATCH, events - n * BATCH) }, () => {
      const event = makeEvent(kind.kind, now);
      const body = Buffer.from(JSON.stringify(event));
      return { body, messageId: event.id, contentType: 'application/cloudevents+json', properties: {} };
    }),
  );
  const startedAt = performance.now();
  // As the trigger's handler does.
  for (const batch of batches) await retryWithBackoff(() => kind.consume(services, batch));
  return events / ((performance.now() - startedAt) / 1000);
}

async function measure(bench: BenchStack, sizes: Sizes, say: (line: string) => void): Promise<Figure[]> {
  const settings = readSettings({ ...bench.stack.settings });
  const services = openServices(settings);
  const events = Math.ceil((sizes.rows * EVENTS_SHARE) / BATCH) * BATCH;
  const figures: Figure[] = [];
  try {
    for (const kind of kindsOf(bench)) {
      let costs = '';
      const values = {
        whole: [] as number[],
        floor: [] as number[],
        alone: [] as number[],
        copied: [] as number[],
      };
      await measureFunction(services, kind, events); // until its code is compiled
      for (let round = 0; round < sizes.rounds; round += 1) {
        values.alone.push(await undisturbed(() => measureFunction(services, kind, events), say));
        const through = await undisturbed(() => measureTriggers(bench, settings, kind, events), say);
        values.whole.push(through.perSecond);
        costs = through.costs;
        values.copied.push(events / (await timeCopy(kind.tables)));
        await Promise.all(bench.hosts.map((host) => host.stop()));
        const idle = { kind: kind.kind, events, warmUpShare: WARM_UP_SHARE };
        values.floor.push(await undisturbed(() => measureFloor(bench, settings, INSTANCES, idle), say));
        await Promise.all(bench.hosts.map((host) => host.start()));
        const [whole, floor, alone, copied] = Object.values(values).map((side) => side.at(-1)?.toFixed(0));
        say(
          `  ${kind.kind}: triggers ${whole}/s, of a function that does nothing ${floor}/s, function alone ${alone}/s, COPY ${copied}/s`,
        );
        say(`    µs of processor an event through its trigger: ${costs}`);
      }
      if (sizes.profileFolder !== undefined) {
        const { profile } = await measureTriggers(bench, settings, kind, PROFILE_EVENTS, sizes.profileFolder);
        say(`  profile of a host, ${kind.kind} events: ${profile ?? ''}`);
      }
      const baseline = { name: 'COPY of the same rows', unit: '/s', values: values.copied };
      const tables = kind.tables.map(({ table }) => table).join(', ');
      figures.push(
        makeFigure({
          bench: 'events',
          name: `${kind.kind} events through broker and trigger ÷ COPY`,
          candidate: { name: `${kind.kind} events, queue to row`, unit: '/s', values: values.whole },
          baseline,
          target: { bound: 'at least', value: 0.3 },
          notes: [
            `into ${tables}; ${events} events a round; ${INSTANCES} instances, the broker and PostgreSQL share the machine`,
          ],
        }),
        makeFigure({
          bench: 'events',
          name: `${kind.kind} events through broker and trigger ÷ the same to a function that does nothing`,
          candidate: { name: `${kind.kind} events, queue to row`, unit: '/s', values: values.whole },
          baseline: { name: 'broker, SDK and trigger alone', unit: '/s', values: values.floor },
        }),
        makeFigure({
          bench: 'events',
          name: `${kind.kind} events, the function alone ÷ COPY`,
          candidate: { name: `${kind.kind} events in batches of ${BATCH}`, unit: '/s', values: values.alone },
          baseline,
          notes: ['what is left where broker and trigger are other machines, one batch after the other'],
        }),
      );
    }
    return figures;
  } finally {
    await services.close();
  }
}

/** What metering and auditing cost on their way from the queue. */
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
