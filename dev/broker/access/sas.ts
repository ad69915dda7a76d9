import { createHmac, timingSafeEqual } from 'node:crypto';

/** The broker's only shared access key. */
export interface SasKey {
  readonly keyName: string;
  readonly key: string;
}

/** What a valid token gives access to: every entity at or under `path`, until `until` (epoch milliseconds). */
export interface Claim {
  readonly path: string;
  readonly until: number;
}

/** A resource or address without scheme, host and outer slashes, in lower case. The broker compares names in this form. */
export function resourcePath(resource: string): string {
  return resource
    .replace(/^[a-z]+:\/\/[^/]*/i, '')
    .replace(/^\/+|\/+$/g, '')
    .toLowerCase();
}

/** Whether a claim on `path` covers `entity`; the empty path is the whole namespace. */
export function pathCovers(path: string, entity: string): boolean {
  return path === '' || entity === path || entity.startsWith(`${path}/`);
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function tokenFields(token: string): Map<string, string> | null {
  const prefix = 'SharedAccessSignature ';
  if (!token.startsWith(prefix)) return null;
  const fields = new Map<string, string>();
  for (const field of token.slice(prefix.length).split('&')) {
    const equals = field.indexOf('=');
    fields.set(field.slice(0, equals), field.slice(equals + 1));
  }
  return fields;
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/**
 * Checks a shared access signature for an audience, as Service Bus does: the key's name; the HMAC-SHA256 over the token's
 * encoded resource and its expiry; the expiry; and that the resource covers the audience. Returns the claim, or the reason
 * for refusing it.
 */
export function verifySasToken(token: string, audience: string, sas: SasKey, now: number): Claim | string {
  const fields = tokenFields(token);
  if (fields === null) return 'MalformedToken: not a shared access signature.';
  const { sr = '', se = '', sig = '', skn = '' } = Object.fromEntries(fields);
  const [resource, signature, keyName] = [decode(sr), decode(sig), decode(skn)];
  const until = Number(se) * 1000;
  if (resource === null || signature === null || keyName === null || !Number.isSafeInteger(until)) {
    return 'MalformedToken: a field cannot be read.';
  }
  const expected = createHmac('sha256', sas.key).update(`${sr}\n${se}`).digest('base64');
  if (keyName !== sas.keyName || !sameText(signature, expected))
    return 'InvalidSignature: The token has an invalid signature.';
  if (until <= now) return 'ExpiredToken: The token is expired.';
  const path = resourcePath(audience);
  if (!pathCovers(resourcePath(resource), path)) return 'InvalidAudience: The token is for another resource.';
  return { path, until };
}
