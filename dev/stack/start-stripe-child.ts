import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { findFreePort } from '../processes/free-port.ts';
import type { ManagedProcess } from '../processes/managed-process.ts';
import { startNodeChild } from './start-node-child.ts';

const readySchema = z.object({ type: z.literal('ready'), port: z.int(), url: z.string() });

/** What the stand-in reports when it is ready. */
export type StripeReady = z.output<typeof readySchema>;

/** The stand-in's data folder, key, port and log. */
export interface StripeChildOptions {
  dataDir: string;
  secretKey: string;
  port: number | undefined;
  logFile: string;
  onEvent?: ((text: string) => void) | undefined;
}

/** Starts the stand-in for Stripe as a child process. After a crash it restarts on the same port with its objects. */
export async function startStripeChild(options: StripeChildOptions): Promise<ManagedProcess<StripeReady>> {
  const port = await findFreePort(options.port);
  return startNodeChild({
    name: 'Stripe stand-in',
    main: fileURLToPath(new URL('../stripe/main.ts', import.meta.url)),
    args: ['--port', String(port), '--data', options.dataDir],
    env: { ...process.env, STRIPE_SECRET_KEY: options.secretKey },
    ready: readySchema,
    logFile: options.logFile,
    onEvent: options.onEvent,
  });
}
