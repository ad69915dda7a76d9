import { createCipheriv, createDecipheriv } from 'node:crypto';
import { randomNonce } from '../ids/random-pool.ts';

/** AES-256-GCM with NIST SP 800-38D's recommended 96-bit nonce and full tag. */
const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** The envelope's first byte: a later format can be told from this one. */
const FORMAT = 1;

/** The sealed bytes were changed, or the key or the binding is not the one they were sealed with. */
export class SealBroken extends Error {
  override name = 'SealBroken';
}

/**
 * What sealed bytes are bound to: they open for this tenant and this request alone. Parts are length-prefixed, so that
 * no two bindings read the same.
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

/**
 * Opens what {@link seal} made.
 * @throws SealBroken if any bit of envelope, key or binding differs.
 */
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
