import { hash } from 'node:crypto';
import { canonicalJson } from '../json/canonical-json.ts';
import { Problem } from './problem.ts';

/** The Idempotency-Key draft sets no limit. Clients of other services expect 255. */
const KEY_MAX = 255;

/**
 * The key of an `Idempotency-Key` header, quoted (a Structured Field String) or not; undefined without the header.
 * @throws Problem 400 for an empty, too long or unprintable key, or for an unclosed quote.
 */
export function readIdempotencyKey(header: string | null): string | undefined {
  if (header === null) return undefined;
  const trimmed = header.trim();
  const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(trimmed);
  const key = quoted?.[1] === undefined ? trimmed : quoted[1].replace(/\\(["\\])/g, '$1');
  const isBroken = quoted === null && trimmed.startsWith('"');
  if (isBroken || key.length === 0 || key.length > KEY_MAX || !/^[\x20-\x7e]+$/.test(key)) {
    throw new Problem('INVALID_REQUEST', {
      errors: [
        { pointer: 'header/Idempotency-Key', detail: `must be 1 to ${KEY_MAX} printable ASCII characters` },
      ],
    });
  }
  return key;
}

/** A hash of a request's content: the same for the same JSON, with any spacing or order (RFC 8785). */
export function fingerprintOf(asked: unknown): Buffer {
  return hash('sha256', canonicalJson(asked), 'buffer');
}
