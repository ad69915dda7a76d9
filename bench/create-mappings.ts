import type { BenchStack } from './bench-stack.ts';
import type { LoadOrder } from './load/protocol.ts';
import { mappingBody, MARKER } from './mapping-body.ts';

/** HTTP connections of every load, each with one request at a time. */
export const CONNECTIONS = 32;

/** Options of {@link createMappings}. Default: as fast as possible, with acme's writer key, on the stack's hosts. */
export interface CreateMappingsOptions {
  /** Requests a second. */
  readonly rate?: number;
  /** Keys of several tenants, used in turn. */
  readonly keys?: readonly string[];
  readonly ports?: readonly number[];
}

/** An order for the load client that creates mappings. */
export function createMappings(
  bench: BenchStack,
  seconds: number,
  { rate, keys = [bench.stack.keys.tenants.acme.writer], ports = bench.ports }: CreateMappingsOptions = {},
): LoadOrder {
  return {
    ports: [...ports],
    connections: CONNECTIONS,
    seconds,
    ...(rate === undefined ? {} : { rate }),
    request: {
      kind: 'create-mapping',
      keys: [...keys],
      path: '/api/v1/mappings',
      body: mappingBody(),
      marker: MARKER,
    },
  };
}
