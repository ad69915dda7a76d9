import { createCipheriv, createDecipheriv } from 'node:crypto';
import { randomNonce } from '../ids/random-pool.ts';

/** AES-256-GCM with NIST SP 800-38D's recommended 96-bit nonce and full tag. */
const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** The envelope's first byte. It distinguishes this format from later ones. */
const FORMAT = 1;

/** The sealed bytes were changed, or another key or binding sealed them. */
export class SealBroken extends Error {
  override name = 'SealBroken';
}

/**
 * What sealed bytes are bound to: they open only for this tenant and this request. Parts have a length prefix, so that two
 * bindings never read the same.
 */
export function binding(tenantId: string, id: string): Buffer {
  return Buffer.from(`${tenantId.length}:${tenantId}|${id.length}:${id}`, 'utf8');
}

/** Seals bytes: `format (1) | nonce (12) | ciphertext | tag (16)`. */
export function seal(key: Uint8Array, plain: Uint8Array, aad: Uint8Array): Buffer {
  const nonce = randomNonce(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce);
  cipher.setAAD(aad);
  return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Opens bytes that {@link seal} made. */
export function open(key: Uint8Array, sealed: Uint8Array, aad: Uint8Array): Buffer {
  if (sealed.length < 1 + NONCE_BYTES + TAG_BYTES || sealed[0] !== FORMAT)
    throw new SealBroken('not a sealed envelope');
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const tag = sealed.subarray(sealed.length - TAG_BYTES);
  try {
    const decipher = createDecipheriv(ALGORITHM, key, nonce);
    decipher.setAAD(aad);
    decipher.setAuthTag(tag);
    return Buffer.concat([
      decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.length - TAG_BYTES)),
      decipher.final(),
    ]);
  } catch {
    throw new SealBroken('the seal does not hold');
  }
}
