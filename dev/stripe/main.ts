import { parseArgs } from 'node:util';
import { startStripe } from './server.ts';

const USAGE = 'usage: STRIPE_SECRET_KEY=sk_test_… main.ts --port <0 for any> --data <folder>';

interface Settings {
  readonly port: number;
  readonly folder: string;
  readonly secretKey: string;
}

/** Throws with the usage when something is missing. The key is not an argument: all users of the machine can read arguments. */
function readSettings(): Settings {
  const { values } = parseArgs({ options: { port: { type: 'string' }, data: { type: 'string' } } });
  const secretKey = process.env['STRIPE_SECRET_KEY'];
  const port = Number(values.port);
  if (values.port === undefined || !Number.isInteger(port) || !values.data || !secretKey)
    throw new Error(USAGE);
  return { port, folder: values.data, secretKey };
}

/** Starts the stand-in, reports its address to the parent or the terminal, and stops it on a signal or when the parent ends. */
async function main(): Promise<void> {
  const server = await startStripe(readSettings());
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    void server.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('disconnect', stop);
  if (process.send === undefined) process.stdout.write(`Stripe's stand-in on ${server.url}\n`);
  else process.send({ type: 'ready', port: server.port, url: server.url });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
