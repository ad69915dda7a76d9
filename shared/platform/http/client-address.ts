import { BlockList, isIP } from 'node:net';

/** Addresses of private networks, where a gateway in front of the app is. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
] as const)
  PRIVATE.addSubnet(network, prefix, 'ipv4');
PRIVATE.addSubnet('fc00::', 7, 'ipv6');

/** An entry of X-Forwarded-For without its port; null when it is no address. */
function readHop(hop: string): string | null {
  const text = hop.trim();
  const bare =
    /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? (isIP(text) === 6 ? text : text.replace(/:\d+$/, ''));
  // A zone names an interface of another machine, and PostgreSQL does not store it.
  return isIP(bare) === 0 || bare.includes('%') ? null : bare;
}

/**
 * The client's address: the last entry that our own network did not add. The gateway writes the client's address, and Azure's
 * front end adds the gateway's private one after it. What a client sent itself is before both.
 */
export function clientAddress(forwarded: string | null): string | null {
  const hops = (forwarded ?? '').split(',').map(readHop);
  const isOurs = (hop: string | null): boolean =>
    hop !== null && PRIVATE.check(hop, isIP(hop) === 6 ? 'ipv6' : 'ipv4');
  const client = hops.findLast((hop) => !isOurs(hop));
  return client === undefined ? (hops.at(-1) ?? null) : client;
}
