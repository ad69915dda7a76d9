import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, rootCertificates } from 'node:tls';
import type { PeerCertificate, SecureContext } from 'node:tls';
import { sslOf } from '../config/connection-settings.ts';
import { log } from '../log/log.ts';

/** Options of Node's TLS that check who the server is: its certificate's authority, its dates and its name. */
export interface VerifiedTls {
  readonly rejectUnauthorized: true;
  readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined;
  readonly servername?: string;
  readonly secureContext?: SecureContext;
}

/** Encrypted, and whoever the server is. Only for a server on this machine. */
export interface UnverifiedTls {
  readonly rejectUnauthorized: false;
}

/** Contexts by their authorities: to read 150 certificates for each connection would take longer than the rest of it. */
const contexts = new Map<string, SecureContext>();

function contextFor(extra: readonly string[]): SecureContext {
  const key = extra.join('\n');
  let context = contexts.get(key);
  if (context === undefined) {
    context = createSecureContext({ ca: [...rootCertificates, ...extra] });
    contexts.set(key, context);
  }
  return context;
}

/**
 * How to connect to the server of a URL, so that nobody else can answer for it. The authorities are those that Node knows,
 * and `extra`. What the environment says (`NODE_TLS_REJECT_UNAUTHORIZED`) changes nothing.
 */
function verifyServer(url: string, extra: readonly string[]): VerifiedTls {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  return {
    rejectUnauthorized: true,
    // Not the name that the driver passes on: for an IP address, one of them passes on none, and "localhost" is checked.
    checkServerIdentity: (_passed, certificate) => checkServerIdentity(host, certificate),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(extra.length === 0 ? {} : { secureContext: contextFor(extra) }),
  };
}

/** The TLS of a connection to PostgreSQL: see `sslOf`. False is a plain connection, to a server on this machine. */
export function tlsOfPostgres(
  url: string,
  extra: readonly string[],
): VerifiedTls | UnverifiedTls | 'prefer' | false {
  const mode = sslOf(url);
  switch (mode) {
    case 'verify-full':
      return verifyServer(url, extra);
    case 'require':
      return { rejectUnauthorized: false };
    case 'prefer':
    case false:
      return mode;
  }
}

/** The TLS of a connection to Redis: undefined for `redis://`, which only a server on this machine may have. */
export function tlsOfRedis(url: string, extra: readonly string[]): VerifiedTls | undefined {
  return new URL(url).protocol === 'rediss:' ? verifyServer(url, extra) : undefined;
}

/** The TLS of a request to a server that a tenant chose. */
export function tlsOfTarget(url: string, extra: readonly string[]): VerifiedTls {
  return verifyServer(url, extra);
}

const TLS_FAULT =
  /^ERR_(SSL|TLS)_|^EPROTO$|CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|^INVALID_(CA|PURPOSE)$|^HOSTNAME_MISMATCH$/;

/** The code of an error with which TLS refused a server or was refused by it; undefined for every other error. */
export function tlsFaultOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'string' && TLS_FAULT.test(code) ? code : undefined;
}

const told = new Set<string>();

/** Logs once, for each server and reason, that TLS refused it. Otherwise it would only look unavailable. */
export function tellTlsFault(url: string, error: unknown): void {
  const code = tlsFaultOf(error);
  if (code === undefined) return;
  const { host } = new URL(url);
  if (told.has(`${host} ${code}`)) return;
  told.add(`${host} ${code}`);
  log.error('server-certificate-refused', { host, code });
}
