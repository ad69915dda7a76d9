import { z } from 'zod';

/** One run of the load client: so many connections, each with one request under way, for so long. */
export const loadOrder = z.object({
  /** Of the hosts, among which the connections are shared out. */
  ports: z.array(z.int()).min(1),
  connections: z.int(),
  seconds: z.number(),
  /** Requests a second, all connections together; as many as there are answers for unless said. */
  rate: z.number().optional(),
  request: z.discriminatedUnion('kind', [
    /** Writes with one key after the other: each key's tenant gets its turn. */
    z.object({
      kind: z.literal('record-mapping'),
      keys: z.array(z.string()).min(1),
      path: z.string(),
      body: z.string(),
      marker: z.string(),
    }),
    /** Reads one target after the other, over and over. */
    z.object({
      kind: z.literal('read'),
      targets: z.array(z.object({ key: z.string(), path: z.string() })).min(1),
    }),
  ]),
});
/** One run of the load client. */
export type LoadOrder = z.output<typeof loadOrder>;

/** What a run came to. Answers are counted when they are complete; those of another status than 2xx make it worthless. */
const loadResult = z.object({
  answers: z.int(),
  seconds: z.number(),
  perSecond: z.number(),
  /** Answers by status. */
  statuses: z.record(z.string(), z.int()),
  p50Ms: z.number(),
  p99Ms: z.number(),
  /** Processor time of the client itself. */
  cpuSeconds: z.number(),
});
/** What a run came to. */
export type LoadResult = z.output<typeof loadResult>;

/** What the client answers to an order. */
export const loadAnswer = z.union([
  z.object({ type: z.literal('done'), result: loadResult }),
  z.object({ type: z.literal('failed'), message: z.string() }),
]);
