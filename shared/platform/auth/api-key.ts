import { createHmac, timingSafeEqual } from 'node:crypto';
import { randomToken } from '../ids/ids.ts';

/** A credential's parts: `cai_<env>_<id>_<secret>`. */
export interface ApiKeyParts {
  readonly environment: string;
  readonly keyId: string;
  readonly secret: string;
}

/** 20 characters of 5 bits: 100 random bits, so that ids do not collide across tenants. */
const ID_LENGTH = 20;
/** 40 characters of 5 bits: 200 random bits. */
const SECRET_LENGTH = 40;
const FORMAT = /^cai_([a-z]{1,10})_([a-z0-9]{20})_([a-z0-9]{40})$/;

/** Splits a credential into its parts; undefined if it has another format. */
export function parseApiKey(credential: string): ApiKeyParts | undefined {
  const match = FORMAT.exec(credential);
  const [, environment, keyId, secret] = match ?? [];
  if (environment === undefined || keyId === undefined || secret === undefined) return undefined;
  return { environment, keyId, secret };
}

/** Makes a new credential. Its text is shown once and never stored. */
export function generateApiKey(
  environment: string,
): ApiKeyParts & { readonly credential: string; readonly prefix: string } {
  const keyId = randomToken(ID_LENGTH);
  const secret = randomToken(SECRET_LENGTH);
  return {
    environment,
    keyId,
    secret,
    credential: `cai_${environment}_${keyId}_${secret}`,
    prefix: `cai_${environment}_${keyId.slice(0, 6)}`,
  };
}

/**
 * The keyed hash that is stored: HMAC-SHA256 of id and secret. The key is the pepper, which is not in the database. A slow
 * hash would add nothing, because the secret is random.
 */
export function hashApiKey(pepper: string, parts: Pick<ApiKeyParts, 'keyId' | 'secret'>): Buffer {
  return createHmac('sha256', pepper).update(`${parts.keyId}.${parts.secret}`).digest();
}

/**
 * Tells peppers apart in the database and for operators. It is no secret: it is a short part of a keyed hash of a random text of 32
 * characters or more, which cannot be guessed.
 */
export function pepperId(pepper: string): string {
  return createHmac('sha256', pepper).update('the id of an API key pepper').digest('hex').slice(0, 12);
}

/** Compares in constant time. */
export function sameHash(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
