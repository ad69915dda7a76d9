import { randomFillSync } from 'node:crypto';

/** Random bytes are drawn 4096 at a time, because one call of the generator costs more than the bytes. */
const POOL_BYTES = 4096;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/** Returns the offset of fresh bytes in the pool. No byte is used twice. */
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
 * Cryptographically strong random bytes as hex, at most 4096 at once. For ids and nonces only, not for secrets: the bytes
 * stay in memory before and after their use.
 */
export function randomHex(bytes: number): string {
  const start = draw(bytes);
  return pool.toString('hex', start, start + bytes);
}

/** Like {@link randomHex}, as a new buffer. */
export function randomNonce(bytes: number): Buffer {
  const start = draw(bytes);
  return Buffer.from(pool.subarray(start, start + bytes));
}
