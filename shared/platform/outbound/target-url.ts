import { isIP } from 'node:net';
import { z } from 'zod';
import type { Settings } from '../config/settings.ts';
import { isLoopbackAddress, isPublicAddress } from './public-address.ts';

/** Long enough for a path with a token. */
const URL_LENGTH_MAX = 2_000;

/** `URL` writes a host in one way: `0x7f.1`, `2130706433` and `127.0.0.1` become the same. */
function normalized(text: string): string {
  return URL.canParse(text) ? new URL(text).href : text;
}

function faultOf(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be a URL';
  const url = new URL(text);
  if (url.protocol !== 'https:') return 'must begin with https://';
  if (url.username !== '' || url.password !== '') return 'must have no user name and no password';
  return url.hash === '' ? undefined : 'must have no fragment';
}

/** A URL to which this service may send, as far as its text tells. {@link targetFault} needs the settings too. */
export const targetUrl = z
  .string()
  .max(URL_LENGTH_MAX)
  .overwrite(normalized)
  .superRefine((text, context) => {
    const message = faultOf(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

/** Where requests may go. */
export interface OutboundRules {
  readonly ports: readonly number[];
  /** For development: this machine, with certificates of `extraCa` too. */
  readonly allowsLoopback: boolean;
  readonly extraCa: readonly string[];
}

/** The rules of this deployment. */
export function outboundRules(
  settings: Pick<Settings, 'WEBHOOKS_PORTS' | 'WEBHOOKS_ALLOW_LOOPBACK' | 'EXTRA_CA_CERTS'>,
): OutboundRules {
  const allowsLoopback = settings.WEBHOOKS_ALLOW_LOOPBACK;
  return {
    ports: settings.WEBHOOKS_PORTS,
    allowsLoopback,
    extraCa: allowsLoopback ? settings.EXTRA_CA_CERTS : [],
  };
}

/** Whether a socket may connect to an address. */
export function mayConnect(rules: OutboundRules, address: string): boolean {
  return isPublicAddress(address) || (rules.allowsLoopback && isLoopbackAddress(address));
}

/** The host of a URL: a name, or an address without the brackets of IPv6. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** Names that lead to the own machine or network by their definition, and names without a domain. */
export const LOCAL_NAME = /^[^.]+\.?$|\.(localhost|local|internal|home\.arpa|intranet|lan|corp)\.?$/i;

/**
 * What is wrong with the port or the host of a target; undefined if nothing is. No name is looked up: its addresses are checked
 * with each connection, because they may change.
 */
export function targetFault(rules: OutboundRules, text: string): string | undefined {
  const url = new URL(text);
  const port = url.port === '' ? 443 : Number(url.port);
  if (!rules.ports.includes(port)) return `must have the port ${rules.ports.join(' or ')}`;
  const host = hostOf(url);
  if (isIP(host) !== 0) return mayConnect(rules, host) ? undefined : 'must lead to a public address';
  if (rules.allowsLoopback && host === 'localhost') return undefined;
  return LOCAL_NAME.test(host) ? 'must have the full name of a public host' : undefined;
}
