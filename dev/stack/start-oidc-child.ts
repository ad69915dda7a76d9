import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { findFreePort } from '../processes/free-port.ts';
import type { ManagedProcess } from '../processes/managed-process.ts';
import { startNodeChild } from './start-node-child.ts';

const readySchema = z.object({ type: z.literal('ready'), port: z.int(), issuer: z.string() });

/** What the stand-in reports when it is ready. */
export type OidcReady = z.output<typeof readySchema>;

/** The stand-in's data folder, port and log. */
export interface OidcChildOptions {
  dataDir: string;
  port: number | undefined;
  logFile: string;
  onEvent?: ((text: string) => void) | undefined;
}

/** Starts the stand-in for Entra ID as a child process. After a crash it restarts on the same port with its keys. */
export async function startOidcChild(options: OidcChildOptions): Promise<ManagedProcess<OidcReady>> {
  const port = await findFreePort(options.port);
  return startNodeChild({
    name: 'Entra stand-in',
    main: fileURLToPath(new URL('../oidc/main.ts', import.meta.url)),
    args: ['--port', String(port), '--data', options.dataDir],
    env: process.env,
    ready: readySchema,
    logFile: options.logFile,
    onEvent: options.onEvent,
  });
}
