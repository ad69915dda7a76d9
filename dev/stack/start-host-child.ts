import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { ManagedProcess } from './processes/managed-process.ts';
import type { AppSettings } from './app-settings.ts';
import { startNodeChild } from './start-node-child.ts';

const readySchema = z.object({ type: z.literal('ready'), port: z.int(), functions: z.array(z.unknown()) });

/** What the functions host tells when it is ready. */
export type HostReady = z.output<typeof readySchema>;

/** Which app the host serves, where, and with which settings. */
export interface HostChildOptions {
  appDir: string;
  stateDir: string;
  port: number;
  settings: AppSettings;
  logFile: string;
  onOutput?: ((text: string) => void) | undefined;
  onEvent?: ((text: string) => void) | undefined;
}

/** Our environment without any setting of the app: what a developer has exported is not this stack's. */
function withoutSettings(settings: AppSettings): NodeJS.ProcessEnv {
  const stale = [...Object.keys(settings), 'REDIS_URL', 'KEY_VAULT_URL', 'REDIS_KEY_PREFIX'];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !stale.includes(name)));
}

/** Starts the functions host as a child, with the app's settings as its environment. */
export function startHostChild(options: HostChildOptions): Promise<ManagedProcess<HostReady>> {
  const { appDir, port, stateDir, settings } = options;
  return startNodeChild({
    name: 'functions host',
    main: fileURLToPath(new URL('../host/main.ts', import.meta.url)),
    args: ['--app', appDir, '--port', String(port), '--state', stateDir],
    env: { ...withoutSettings(settings), ...settings },
    ready: readySchema,
    logFile: options.logFile,
    onOutput: options.onOutput,
    onEvent: options.onEvent,
  });
}
