import { hash } from 'node:crypto';
import { randomToken } from '../ids/ids.ts';

/** A session's token: `cas_<id>_<secret>`. */
export interface SessionTokenParts {
  readonly sessionId: string;
  readonly secret: string;
}

/** 20 characters of 5 bits, as for a key. */
const ID_LENGTH = 20;
/** 40 characters of 5 bits: 200 random bits. */
const SECRET_LENGTH = 40;
const FORMAT = /^cas_([a-z0-9]{20})_([a-z0-9]{40})$/;

/**
 * The cookie of a session. Browsers accept the prefix only with `Secure`, `Path=/` and no `Domain`, so no other host can set it.
 */
export const SESSION_COOKIE = '__Host-comply-session';

/** Splits a token into its parts; undefined if it has another format. */
export function parseSessionToken(token: string): SessionTokenParts | undefined {
  const [, sessionId, secret] = FORMAT.exec(token) ?? [];
  return sessionId === undefined || secret === undefined ? undefined : { sessionId, secret };
}

/** Makes a new token. Its text is given to the client and never stored. */
export function generateSessionToken(): SessionTokenParts & { readonly token: string } {
  const sessionId = randomToken(ID_LENGTH);
  const secret = randomToken(SECRET_LENGTH);
  return { sessionId, secret, token: `cas_${sessionId}_${secret}` };
}

/** What is stored of a session's token, or of a one-time token: SHA-256. A slow hash would add nothing to 200 random bits. */
export function hashToken(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}
