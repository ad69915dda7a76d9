import { runMigrations, StripeSync } from '@supabase/stripe-sync-engine';
import type { BenchStack } from '../bench-stack.ts';
import type { SignedEvent } from './make-events.ts';

/** The peer: a library that stores each event's object in a table of its kind, as the event has it. */
export interface SyncEngine {
  process(event: SignedEvent): Promise<void>;
  close(): Promise<void>;
}

const DATABASE = 'stripe_sync_engine';

/** Opens the sync engine on a database of its own of the stack's server. */
export async function openSyncEngine(
  { stack, billing }: BenchStack,
  {
    secret,
    apiUrl,
    connections,
  }: { readonly secret: string; readonly apiUrl: string; readonly connections: number },
): Promise<SyncEngine> {
  await billing.unsafe(`create database ${DATABASE}`);
  const url = new URL(stack.adminUrls.billing);
  url.pathname = `/${DATABASE}`;
  await runMigrations({ databaseUrl: url.href, schema: 'stripe' });
  const engine = new StripeSync({
    poolConfig: { connectionString: url.href, max: connections },
    stripeWebhookSecret: secret,
    // It never calls Stripe here: related objects are not fetched.
    stripeSecretKey: `sk_test_${new URL(apiUrl).port}`,
    backfillRelatedEntities: false,
    autoExpandLists: false,
  });
  return {
    process: ({ payload, signature }) => engine.processWebhook(payload, signature),
    close: () => engine.postgresClient.pool.end(),
  };
}
