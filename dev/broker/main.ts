import { parseArgs } from 'node:util';
import { z } from 'zod';
import { QUEUES, type QueueDefinition } from '../../shared/platform/bus/queues.ts';
import { startBroker } from './broker.ts';

const USAGE =
  'usage: COMPLY_BROKER_KEY_NAME=… COMPLY_BROKER_KEY=… main.ts --port <0 for any> [--data <folder>] [--queues <JSON>]';

/** Queue settings that may differ from Azure's, because a test cannot wait five minutes for a lock to end. */
const overrides = z.strictObject({
  lockDurationMs: z.int().positive().optional(),
  duplicateDetectionWindowMs: z.int().positive().nullable().optional(),
});

interface Settings {
  readonly port: number;
  readonly dataDir: string | null;
  readonly sas: { readonly keyName: string; readonly key: string };
  readonly queues: readonly QueueDefinition[];
}

/** Throws with the usage when something is missing. The key is not an argument: all users of the machine can read arguments. */
function readSettings(): Settings {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      data: { type: 'string' },
      queues: { type: 'string', default: '{}' },
    },
  });
  const keyName = process.env['COMPLY_BROKER_KEY_NAME'];
  const key = process.env['COMPLY_BROKER_KEY'];
  const port = Number(values.port);
  if (values.port === undefined || !Number.isInteger(port) || !keyName || !key) throw new Error(USAGE);
  const { lockDurationMs, duplicateDetectionWindowMs } = overrides.parse(JSON.parse(values.queues));
  const queues = QUEUES.map((queue) => ({
    ...queue,
    ...(lockDurationMs === undefined ? {} : { lockDurationMs }),
    ...(duplicateDetectionWindowMs === undefined ? {} : { duplicateDetectionWindowMs }),
  }));
  return { port, dataDir: values.data ?? null, sas: { keyName, key }, queues };
}

/** Starts the broker, reports its address to the parent or the terminal, and stops it on a signal or when the parent ends. */
async function main(): Promise<void> {
  const broker = await startBroker(readSettings());
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    void broker.stop().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('disconnect', stop);
  if (process.send === undefined) {
    process.stdout.write(`Service Bus broker for development on 127.0.0.1:${String(broker.port)}\n`);
  } else {
    process.send({ type: 'ready', port: broker.port, connectionString: broker.connectionString });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
