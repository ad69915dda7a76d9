import { lookup as dnsLookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';

/** An address that a name has. */
export interface FoundAddress {
  readonly address: string;
  readonly family: number;
}

/** Finds all addresses of a name. Tests have their own. */
export type Resolve = (host: string) => Promise<readonly FoundAddress[]>;

const systemResolve: Resolve = (host) => dnsLookup(host, { all: true });

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
