import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Azure's own address on every virtual network: DNS, health probes and the guest agent, which hands out certificates and settings.
 * It is in no special range.
 */
const AZURE_HOST = '168.63.129.16';

/** All addresses of IPv6 that are given to anyone. Everything else is special, also what has no name yet. */
const GIVEN_OUT = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Whether an address belongs to somebody on the Internet. False for private, loopback, link-local, multicast, documentation and all
 * other special addresses, for IPv6 addresses that stand for one of IPv4 (mapped, NAT64, 6to4, Teredo), and for what is no address.
 */
export function isPublicAddress(address: string): boolean {
  // Not the library's own test: it also takes `127.1` and `0x7f.1`, which no look-up returns.
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv6 ? parsed.match(GIVEN_OUT) : parsed.toString() !== AZURE_HOST;
}

/** Whether an address is this machine. */
export function isLoopbackAddress(address: string): boolean {
  return isIP(address) !== 0 && ipaddr.parse(address).range() === 'loopback';
}
