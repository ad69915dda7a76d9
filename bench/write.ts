import path from 'node:path';
import type { Bench, Sizes } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { interleave, makeFigure, median, type Figure } from './figures.ts';
import { INSPECTABLE } from './host-inspector.ts';
import { LoadClient } from './load/client.ts';
import { makeTenants, TENANTS } from './many-tenants.ts';
import { startPeer, type Peer } from './peer/start-peer.ts';
import { profileHost } from './profile-host.ts';
import { CONNECTIONS, createMappings } from './create-mappings.ts';
import { SAME_ROWS, TEXTBOOK } from './textbook.ts';
import { undisturbed } from './undisturbed.ts';
import { describeCosts, transactionRound, writeRound, type WriteRound } from './write-round.ts';

/** Enough for the host to compile its code and fill its caches. */
const WARM_UP_S = 8;

/** What all rounds of a run use. */
interface WriteContext {
  readonly bench: BenchStack;
  readonly client: LoadClient;
  readonly peer: Peer;
  /** Keys of many tenants. */
  readonly keys: readonly string[];
  readonly sizes: Sizes;
  readonly say: (line: string) => void;
}

/** The number of clients with which pgbench is fastest. */
async function chooseClients({ bench, sizes, say }: WriteContext): Promise<number> {
  const rates = new Map<number, number>();
  for (const clients of [16, 32]) {
    const round = () => transactionRound(bench, TEXTBOOK, clients, sizes.secondsEach);
    rates.set(clients, (await undisturbed(round, say)).perSecond);
  }
  say(
    `  pgbench: ${[...rates].map(([clients, rate]) => `${clients} clients ${rate.toFixed(0)}/s`).join(', ')}`,
  );
  return (rates.get(16) ?? 0) > (rates.get(32) ?? 0) ? 16 : 32;
}

/** The values of each round, by what was measured. */
interface Rounds {
  readonly textbook: { perSecond: number; postgresMicros: number }[];
  readonly sameRows: number[];
  readonly one: WriteRound[];
  readonly many: WriteRound[];
  readonly peer: number[];
}

async function runRounds(context: WriteContext, clients: number): Promise<Rounds> {
  const { bench, client, peer, keys, sizes, say } = context;
  const { secondsEach } = sizes;
  const rounds: Rounds = { textbook: [], sameRows: [], one: [], many: [], peer: [] };
  const write = async (name: string, options: Parameters<typeof writeRound>[3]): Promise<WriteRound> => {
    const round = await undisturbed(() => writeRound(bench, client, secondsEach, options), say);
    const { perSecond, p50Ms, p99Ms } = round;
    say(`  ${name} ${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`);
    say(`    ${describeCosts([round])}`);
    return round;
  };
  await interleave(
    sizes.rounds,
    async () => {
      const round = () => transactionRound(bench, TEXTBOOK, clients, secondsEach);
      const { perSecond, postgresMicros } = await undisturbed(round, say);
      rounds.textbook.push({ perSecond, postgresMicros });
      say(`  pgbench ${perSecond.toFixed(0)}/s, PostgreSQL ${postgresMicros.toFixed(0)} µs a transaction`);
      rounds.peer.push((await write('peer', { ports: [peer.port] })).perSecond);
      return perSecond;
    },
    async () => {
      rounds.one.push(await write('one tenant', {}));
      rounds.many.push(await write(`${TENANTS} tenants`, { keys }));
      const round = () => transactionRound(bench, SAME_ROWS, clients, Math.ceil(secondsEach / 2));
      rounds.sameRows.push((await undisturbed(round, say)).perSecond);
      return 0;
    },
  );
  return rounds;
}

async function measure(context: WriteContext): Promise<Figure[]> {
  const { bench, client, peer, keys } = context;
  const [durability] = await bench.core<{ text: string }[]>`
    select 'fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit') as text`;
  await client.run(createMappings(bench, WARM_UP_S));
  await client.run(createMappings(bench, WARM_UP_S, { keys }));
  await client.run(createMappings(bench, WARM_UP_S, { ports: [peer.port] }));
  await bench.drainOutbox();
  const clients = await chooseClients(context);
  const rounds = await runRounds(context, clients);
  const rates = (of: readonly WriteRound[]): number[] => of.map(({ perSecond }) => perSecond);
  const one = {
    name: `POST /mappings with response, ${CONNECTIONS} connections`,
    unit: '/s',
    values: rates(rounds.one),
  };
  const textbook = 'pgbench: begin, set_config, record, outbox, commit';
  const p99 = median(rounds.one.map((round) => round.p99Ms)).toFixed(1);
  const unpublished = (median(rounds.one.map((round) => round.unpublished)) * 100).toFixed(0);
  return [
    makeFigure({
      bench: 'write',
      name: 'POST /mappings ÷ textbook transaction',
      candidate: one,
      baseline: {
        name: textbook,
        unit: '/s',
        values: rounds.textbook.map(({ perSecond }) => perSecond),
      },
      target: { bound: 'at least', value: 0.65 },
      notes: [
        `both: ${durability?.text ?? ''}; pgbench at its best: ${clients} clients, 2 threads`,
        describeCosts(rounds.one),
        `p99 ${p99} ms; ${unpublished} % of a round's events were still to be published at its end`,
      ],
    }),
    makeFigure({
      bench: 'write',
      name: 'PostgreSQL’s processor time a write ÷ of a textbook transaction',
      candidate: {
        name: 'POST /mappings',
        unit: 'µs',
        values: rounds.one.map(({ micros }) => micros['PostgreSQL'] ?? Number.NaN),
      },
      baseline: {
        name: textbook,
        unit: 'µs',
        values: rounds.textbook.map(({ postgresMicros }) => postgresMicros),
      },
      target: { bound: 'at most', value: 0.5 },
      notes: ['PostgreSQL does not scale out with the functions hosts'],
    }),
    makeFigure({
      bench: 'write',
      name: 'POST /mappings ÷ Fastify and pg with the textbook transaction',
      candidate: one,
      baseline: { name: 'bench/peer, over HTTP', unit: '/s', values: rounds.peer },
      target: { bound: 'at least', value: 1 },
      notes: [
        'the peer writes two of the five rows; it has no credentials, idempotency, sealing or metering',
      ],
    }),
    makeFigure({
      bench: 'write',
      name: `POST /mappings of ${TENANTS} tenants ÷ of one`,
      candidate: { name: `${TENANTS} tenants in turn, default keys`, unit: '/s', values: rates(rounds.many) },
      baseline: one,
      target: { bound: 'at least', value: 0.85 },
      notes: [describeCosts(rounds.many)],
    }),
    makeFigure({
      bench: 'write',
      name: 'POST /mappings ÷ all its rows by pgbench',
      candidate: one,
      baseline: {
        name: 'pgbench: the same with all five rows of a mapping',
        unit: '/s',
        values: rounds.sameRows,
      },
      notes: ['the textbook transaction writes two of the five rows of a mapping'],
    }),
  ];
}

async function profile({ bench, client, keys, sizes, say }: WriteContext, folder: string): Promise<void> {
  for (const [name, options] of Object.entries({ write: {}, 'write-many': { keys } })) {
    const load = client.run(createMappings(bench, sizes.secondsEach + 1, options));
    const file = path.join(folder, `${name}.cpuprofile`);
    say(`  profile of the host, ${name}: ${await profileHost(bench.stack, sizes.secondsEach, file)}`);
    await load;
  }
}

/** What a write over HTTP costs, compared with only the transaction. */
export const writeBench: Bench = {
  name: 'write',
  what: 'POST /mappings with its response over HTTP ÷ the textbook transaction by pgbench and by a plain service',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone', {
      settings: sizes.profileFolder === undefined ? {} : INSPECTABLE,
    });
    const client = await LoadClient.start();
    const peer = await startPeer(bench);
    try {
      const context = { bench, client, peer, keys: await makeTenants(bench), sizes, say };
      const figures = await measure(context);
      if (sizes.profileFolder !== undefined) await profile(context, sizes.profileFolder);
      return figures;
    } finally {
      await peer.stop();
      await client.stop();
      await bench.stop();
    }
  },
};
