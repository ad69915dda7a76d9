import { randomFillSync } from 'node:crypto';

/** One call of the generator costs more than the bytes that it gives: they are drawn by the page. */
const POOL_BYTES = 4096;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/** The place of fresh bytes in the pool; no byte is handed out twice. */
function draw(bytes: number): number {
  if (used + bytes > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const start = used;
  used += bytes;
  return start;
}

/**
 * Cryptographically strong random bytes as hex, at most 4096 at once. For ids and nonces, which are no secrets: they lie
 * in memory before and after their use.
 */
export function randomHex(bytes: number): string {
  const start = draw(bytes);
  return pool.toString('hex', start, start + bytes);
}

/** As {@link randomHex}, as bytes of the caller's own. */
export function randomNonce(bytes: number): Buffer {
  const start = draw(bytes);
  return Buffer.from(pool.subarray(start, start + bytes));
}
