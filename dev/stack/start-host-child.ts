import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { ManagedProcess } from '../processes/managed-process.ts';
import type { AppSettings } from './app-settings.ts';
import { startNodeChild } from './start-node-child.ts';

const readySchema = z.object({
  type: z.literal('ready'),
  port: z.int(),
  functions: z.array(z.object({ name: z.string(), type: z.string(), disabled: z.boolean() })),
});

/** What the functions host reports when it is ready. */
export type HostReady = z.output<typeof readySchema>;

/**
 * Node's arguments, the same as in Azure (docs/operations.md). A busy host fills V8's default semi-space (16 MB) some fifteen
 * times a second, and each time the objects of running requests are moved to the old space. That one is then collected every
 * few seconds, which delays all requests of that moment. Twice the size needs a fourth of these collections.
 */
export const NODE_ARGUMENTS: readonly string[] = ['--max-semi-space-size=32'];

/** The host's app, port, settings and log. */
export interface HostChildOptions {
  appDir: string;
  stateDir: string;
  port: number;
  settings: AppSettings;
  /** Lists the functions and logs every invocation. */
  verbose?: boolean;
  logFile: string;
  onOutput?: ((text: string) => void) | undefined;
  onEvent?: ((text: string) => void) | undefined;
}

/** Our environment without the app's settings: a developer's exported ones must not change this stack. */
function withoutSettings(settings: AppSettings): NodeJS.ProcessEnv {
  const stale = [
    ...Object.keys(settings),
    'REDIS_URL',
    'KEY_VAULT_URL',
    'REDIS_KEY_PREFIX',
    'STRIPE_SECRET_KEY',
    'STRIPE_API_URL',
    'STRIPE_WEBHOOK_SECRETS',
  ];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !stale.includes(name)));
}

/** Starts the functions host as a child process, with the app's settings in its environment. */
export function startHostChild(options: HostChildOptions): Promise<ManagedProcess<HostReady>> {
  const { appDir, port, stateDir, settings, verbose = false } = options;
  return startNodeChild({
    name: 'functions host',
    main: fileURLToPath(new URL('../host/main.ts', import.meta.url)),
    nodeArgs: NODE_ARGUMENTS,
    args: ['--app', appDir, '--port', String(port), '--state', stateDir, verbose ? '--verbose' : '--brief'],
    env: { ...withoutSettings(settings), ...settings },
    ready: readySchema,
    logFile: options.logFile,
    onOutput: options.onOutput,
    onEvent: options.onEvent,
  });
}
