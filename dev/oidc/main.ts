import { parseArgs } from 'node:util';
import { startOidc } from './server.ts';

const USAGE = 'usage: main.ts --port <0 for any> --data <folder>';

/** Throws with the usage when something is missing. */
function readSettings(): { port: number; folder: string } {
  const { values } = parseArgs({ options: { port: { type: 'string' }, data: { type: 'string' } } });
  const port = Number(values.port);
  if (values.port === undefined || !Number.isInteger(port) || !values.data) throw new Error(USAGE);
  return { port, folder: values.data };
}

/** Starts the stand-in, reports its address to the parent or the terminal, and stops it on a signal or when the parent ends. */
async function main(): Promise<void> {
  const server = await startOidc(readSettings());
  // Nothing is lost: its keys are on the disk, and it has no other state.
  const stop = (): void => process.exit(0);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('disconnect', stop);
  if (process.send === undefined) process.stdout.write(`Entra's stand-in on ${server.issuer}\n`);
  else process.send({ type: 'ready', port: server.port, issuer: server.issuer });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
