import { z } from 'zod';

/** One run of the load client: a number of connections, each with one request at a time, for some seconds. */
export const loadOrder = z.object({
  /** The hosts' ports. Connections are divided among them. */
  ports: z.array(z.int()).min(1),
  connections: z.int(),
  seconds: z.number(),
  /** Requests a second on all connections together. Default: the next request follows each answer. */
  rate: z.number().optional(),
  request: z.discriminatedUnion('kind', [
    /** Writes with each key in turn, and so for each key's tenant in turn. */
    z.object({
      kind: z.literal('create-mapping'),
      keys: z.array(z.string()).min(1),
      path: z.string(),
      body: z.string(),
      marker: z.string(),
    }),
    /** Reads all targets in turn, repeatedly. `tenant`: the tenant of a token that does not name one. */
    z.object({
      kind: z.literal('read'),
      targets: z.array(z.object({ key: z.string(), path: z.string(), tenant: z.string().optional() })).min(1),
    }),
  ]),
});
/** One run of the load client. */
export type LoadOrder = z.output<typeof loadOrder>;

/** The result of a run. Only complete answers count. A status other than 2xx makes the run invalid. */
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
/** The result of a run. */
export type LoadResult = z.output<typeof loadResult>;

/** The client's answer to an order. */
export const loadAnswer = z.union([
  z.object({ type: z.literal('done'), result: loadResult }),
  z.object({ type: z.literal('failed'), message: z.string() }),
]);
