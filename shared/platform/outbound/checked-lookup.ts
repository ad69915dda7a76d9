import { lookup as dnsLookup, Resolver } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';

/** An address that a name has. */
export interface FoundAddress {
  readonly address: string;
  readonly family: number;
}

/** Finds all addresses of a name. Tests have their own. */
export type Resolve = (host: string) => Promise<readonly FoundAddress[]>;

/** Two questions to each server. A request's own time limit ends it too. */
const QUESTION = { timeout: 2_000, tries: 2 } as const;

/**
 * Asks the name servers itself. The system's look-up would take one of the process's few threads for as long as the tenant's name
 * server likes, and nothing can end it: four slow names would stop every other look-up, file and hash of the process.
 */
const systemResolve: Resolve = async (host) => {
  if (host === 'localhost') return dnsLookup(host, { all: true });
  const resolver = new Resolver(QUESTION);
  const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = [
    ...(four.status === 'fulfilled' ? four.value.map((address) => ({ address, family: 4 })) : []),
    ...(six.status === 'fulfilled' ? six.value.map((address) => ({ address, family: 6 })) : []),
  ];
  if (found.length === 0 && four.status === 'rejected') throw four.reason;
  return found;
};

/** The name has an address to which this service does not connect. */
export class AddressRefused extends Error {
  override name = 'AddressRefused';
}

/**
 * A socket's look-up. It connects only to what is returned here, so what was checked and what is used cannot differ. One
 * address that is not public refuses them all: a public host has none.
 */
export function checkedLookup(
  mayConnect: (address: string) => boolean,
  resolve: Resolve = systemResolve,
): LookupFunction {
  return (host, options, callback) => {
    resolve(host).then(
      (found) => {
        const [first] = found;
        if (first === undefined) callback(new Error('the name has no address'), '');
        else if (!found.every(({ address }) => mayConnect(address)))
          callback(new AddressRefused('the name has an address that is not public'), '');
        else if (options.all === true) callback(null, [...found]);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error('no look-up'), ''),
    );
  };
}
