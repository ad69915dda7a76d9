import { hash } from 'node:crypto';
import { v7 } from 'uuid';

/**
 * A UUIDv7 of a time and an identity, the same for each caller: its random bits are a hash of the identity. So two writers of
 * one thing make the same row.
 */
export function derivedId(at: Date, identity: readonly string[]): string {
  const digest = hash('sha256', JSON.stringify(identity), 'buffer');
  return v7({ msecs: at.getTime(), random: digest.subarray(0, 16), seq: digest.readUInt32BE(16) });
}
