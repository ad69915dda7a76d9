import type { Settings } from '../../../platform/config/settings.ts';
import { syncObject, type StripeRef, type SyncResult, type SyncServices } from '../sync/sync-object.ts';

/**
 * Each sync holds a connection while Stripe answers. Half of the pool is left for the webhook and for everything else, however
 * slow Stripe is and however many batches this process consumes.
 */
const POOL_SHARE = 0.5;

/** Objects that this process syncs at once. */
export function syncsAtOnce({ DATABASE_CROSS_TENANT_POOL_MAX: max }: Settings): number {
  return Math.max(1, Math.floor(max * POOL_SHARE));
}

let running = 0;
const waiting: (() => void)[] = [];

/** {@link syncObject}, when it is its turn in this process. @throws what it throws. */
export async function syncInTurn(services: SyncServices, ref: StripeRef, now: Date): Promise<SyncResult> {
  if (running >= syncsAtOnce(services.settings))
    await new Promise<void>((resolve) => void waiting.push(resolve));
  else running += 1;
  try {
    return await syncObject(services, ref, now);
  } finally {
    // The place is passed on, so that nobody takes it in between.
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}
