import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Stripe from 'stripe';
import { startStripe } from './server.ts';
import type { StripeOptions, StripeServer } from './server.ts';

const SECRET_KEY = 'sk_test_standin0123456789';

/** A stand-in with a folder of its own, and the official SDK that speaks to it. */
export interface TestStripe {
  readonly folder: string;
  readonly secretKey: string;
  server: StripeServer;
  stripe: Stripe;
  /** Another client, with settings of its own. */
  connect(config?: Stripe.StripeConfig, key?: string): Stripe;
  /** Asks for `/_stand-in/…`, or anything else that the SDK does not. */
  ask(method: string, path: string, body?: object): Promise<Response>;
  /** Stops it and starts it again on the same folder; `between` may change the folder. */
  restart(between?: () => void): Promise<void>;
  close(): Promise<void>;
}

/** Starts one for a test file. */
export async function startTestStripe(
  options: Partial<Pick<StripeOptions, 'now' | 'moreParts' | 'webhooks'>> = {},
): Promise<TestStripe> {
  const folder = mkdtempSync(path.join(tmpdir(), 'stripe-stand-in-'));
  const start = (): Promise<StripeServer> =>
    startStripe({ port: 0, folder, secretKey: SECRET_KEY, ...options });
  const connect = (config: Stripe.StripeConfig = {}, key = SECRET_KEY): Stripe =>
    new Stripe(key, {
      host: '127.0.0.1',
      port: test.server.port,
      protocol: 'http',
      maxNetworkRetries: 0,
      telemetry: false,
      ...config,
    });
  const server = await start();
  const test: TestStripe = {
    folder,
    secretKey: SECRET_KEY,
    server,
    stripe: new Stripe(SECRET_KEY),
    connect,
    ask: (method, place, body) =>
      fetch(test.server.url + place, {
        method,
        headers: { Authorization: `Bearer ${SECRET_KEY}`, 'Content-Type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    restart: async (between) => {
      await test.server.close();
      between?.();
      test.server = await start();
      test.stripe = connect();
    },
    close: async () => {
      await test.server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  test.stripe = connect();
  return test;
}
