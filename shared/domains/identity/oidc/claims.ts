import { z } from 'zod';
import { TokenRefused } from './token-refused.ts';

/** Larger than a token with two hundred groups. */
export const TOKEN_MAX_LENGTH = 12 * 1024;

const JWT = /^[\w-]+\.([\w-]+)\.[\w-]*$/;

/** Whether a credential has the form of a signed token: three parts in base64url. */
export function isToken(credential: string): boolean {
  return JWT.test(credential);
}

/** An id, as issuers may choose it (OpenID Connect: ASCII, at most 255). Shorter, so that an actor's name has room. */
const id = z
  .string()
  .regex(/^[\x21-\x7e]+( [\x21-\x7e]+)*$/)
  .max(200);

/** A time that a date can be: to the end of the year 9999. */
const seconds = z.number().nonnegative().max(253_402_300_799);

const claims = z.looseObject({
  iss: z.string().max(500),
  exp: seconds,
  iat: seconds,
  sub: id,
  oid: id.optional(),
  tid: z.string().optional(),
  azp: id.optional(),
  appid: id.optional(),
  client_id: id.optional(),
  idtyp: z.string().optional(),
  // A text at Entra, a list at Okta. Only whether it is there counts.
  scp: z.union([z.string(), z.array(z.unknown())]).optional(),
});

/** What a checked token says. */
export type TokenClaims = z.output<typeof claims>;

/** Reads the claims of a token. @throws TokenRefused. */
export function readClaims(payload: unknown): TokenClaims {
  const read = claims.safeParse(payload);
  if (!read.success) throw new TokenRefused('claims');
  return read.data;
}

const issuerOnly = z.looseObject({ iss: z.string().max(500) });

/** The issuer that a token names, of which nothing is checked yet: only to know by whose keys. @throws TokenRefused. */
export function claimedIssuer(token: string): string {
  const [, payload = ''] = JWT.exec(token) ?? [];
  try {
    return issuerOnly.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))).iss;
  } catch {
    throw new TokenRefused('not_a_token');
  }
}
