import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { findFreePort } from '../processes/free-port.ts';
import type { ManagedProcess } from '../processes/managed-process.ts';
import { startNodeChild } from './start-node-child.ts';

const readySchema = z.object({ type: z.literal('ready'), port: z.int(), connectionString: z.string() });

/** What the broker reports when it is ready. */
export type BrokerReady = z.output<typeof readySchema>;

/** Queue settings that differ from Azure's, for example shorter locks. Null turns duplicate detection off. */
export interface QueueOverrides {
  lockDurationMs?: number;
  duplicateDetectionWindowMs?: number | null;
}

/** The broker's data folder, key, port and log. */
export interface BrokerChildOptions {
  dataDir: string;
  key: string;
  port: number | undefined;
  queues: QueueOverrides;
  logFile: string;
  onEvent?: ((text: string) => void) | undefined;
}

/** Starts the development Service Bus broker as a child process. After a crash it restarts on the same port with its queues. */
export async function startBrokerChild(options: BrokerChildOptions): Promise<ManagedProcess<BrokerReady>> {
  const port = await findFreePort(options.port);
  return startNodeChild({
    name: 'Service Bus broker',
    main: fileURLToPath(new URL('../broker/main.ts', import.meta.url)),
    args: ['--port', String(port), '--data', options.dataDir, '--queues', JSON.stringify(options.queues)],
    env: { ...process.env, COMPLY_BROKER_KEY_NAME: 'local', COMPLY_BROKER_KEY: options.key },
    ready: readySchema,
    logFile: options.logFile,
    onEvent: options.onEvent,
  });
}
