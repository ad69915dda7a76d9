import type { BenchStack } from './bench-stack.ts';
import type { LoadOrder } from './load/protocol.ts';
import { mappingBody, MARKER } from './mapping-body.ts';

/** HTTP connections of every load, each with one request under way. */
export const CONNECTIONS = 32;

/** How mappings are recorded where it is not as fast as all connections go, by acme's writer, to the stack's hosts. */
export interface RecordMappings {
  /** Requests a second. */
  readonly rate?: number;
  /** Several tenants' keys, taken in turn. */
  readonly keys?: readonly string[];
  readonly ports?: readonly number[];
}

/** An order that records mappings. */
export function recordMappings(
  bench: BenchStack,
  seconds: number,
  { rate, keys = [bench.stack.keys.tenants.acme.writer], ports = bench.ports }: RecordMappings = {},
): LoadOrder {
  return {
    ports: [...ports],
    connections: CONNECTIONS,
    seconds,
    ...(rate === undefined ? {} : { rate }),
    request: {
      kind: 'record-mapping',
      keys: [...keys],
      path: '/api/v1/mappings',
      body: mappingBody(),
      marker: MARKER,
    },
  };
}
