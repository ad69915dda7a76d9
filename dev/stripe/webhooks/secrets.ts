import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { randomLetters } from '../objects/kinds.ts';
import type { NoteKind, Store } from '../store/store.ts';

const SECRET_LETTERS = 32;

const secretsSchema = z.array(
  z.object({
    secret: z.string(),
    /** Milliseconds since 1970; null for the one that stays. */
    expires_at: z.number().nullable(),
  }),
);

/** The secrets of an endpoint, the newest first. An endpoint shows none but at its creation. */
const SECRETS: NoteKind<z.infer<typeof secretsSchema>> = { name: 'webhook_secrets', schema: secretsSchema };

/** Gives an endpoint its secret, or another one; the ones before sign beside it for a time. */
export function addSecret(store: Store, endpoint: string, keepOldUntilMs: number): string {
  const secret = `whsec_${randomLetters(SECRET_LETTERS)}`;
  const old = (store.getNote(SECRETS, endpoint) ?? []).map((one) => ({
    ...one,
    expires_at: Math.min(one.expires_at ?? Infinity, keepOldUntilMs),
  }));
  store.putNote(SECRETS, endpoint, [{ secret, expires_at: null }, ...old]);
  return secret;
}

export function removeSecrets(store: Store, endpoint: string): void {
  store.putNote(SECRETS, endpoint, null);
}

/** `Stripe-Signature` of a body: one `v1` for each secret that is good at this time (milliseconds). */
export function sign(store: Store, endpoint: string, body: string, atMs: number): string {
  const time = Math.floor(atMs / 1000);
  const signatures = (store.getNote(SECRETS, endpoint) ?? [])
    .filter(({ expires_at }) => expires_at === null || atMs < expires_at)
    .map(({ secret }) => createHmac('sha256', secret).update(`${time}.${body}`).digest('hex'));
  return [`t=${time}`, ...signatures.map((signature) => `v1=${signature}`)].join(',');
}
