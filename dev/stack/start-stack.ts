import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { PerDatabase } from '../../tools/migrate/databases.ts';
import { AUDIENCE, DIRECTORY_ID } from '../oidc/server.ts';
import { seedStack } from './seed-stack.ts';
import { countFunctions } from '../host/list-functions.ts';
import { makeAppSettings, returnOrigins } from './app-settings.ts';
import type { AppSettings } from './app-settings.ts';
import { APP_FOLDER, buildApp } from './build-app.ts';
import { carryPlans } from './carry-plans.ts';
import { keepProvider } from './keep-provider.ts';
import { takeLocalFolder } from './local-folder.ts';
import { prepareDatabases } from './prepare-databases.ts';
import type { MigrateOne } from './prepare-databases.ts';
import { findNextFreePort } from '../processes/free-port.ts';
import { readGuardPid } from '../processes/guard.ts';
import type { ManagedProcess } from '../processes/managed-process.ts';
import { NO_PROGRESS } from './progress.ts';
import type { Progress } from './progress.ts';
import { findStripeAccount } from './stripe-account.ts';
import { openStripeWebhook } from './stripe-webhook.ts';
import type { StripeWebhook } from './stripe-webhook.ts';
import { openSecrets, writeSecrets } from './secrets.ts';
import type { SeedResult, StackSecrets } from './secrets.ts';
import { removeStackFile, writeStackFile } from './stack-file.ts';
import type { StackFile } from './stack-file.ts';
import type { QueueOverrides } from './start-broker-child.ts';
import { startHostChild } from './start-host-child.ts';
import type { HostReady } from './start-host-child.ts';
import { startParts } from './start-parts.ts';
import type { StackParts } from './start-parts.ts';
import { startTelemetry } from './start-telemetry.ts';

const FIRST_HOST_PORT = 7071; // the port of Azure Functions Core Tools

/** What fills a stack's databases, and Stripe. Tests start a stack as an earlier release has left it. */
export interface StackFilling {
  migrate: MigrateOne;
  seed: (settings: AppSettings) => Promise<SeedResult>;
  /** Returns how many plans were made at Stripe. */
  carry: (settings: AppSettings) => Promise<number>;
}

/** How a stack runs. The defaults are those of `npm start`. */
export interface StackOptions {
  /** The folder of data, logs and stack.json; made when missing. */
  folder: string;
  /** Delete the folder's content first. */
  fresh?: boolean;
  /** The first port tried for the functions host. Default 7071. */
  port?: number;
  /** A folder with a built app. Default: the repository, which is built first. */
  appDir?: string;
  /** How the databases are filled. Default: with this build's migrations, seed and plans. */
  filling?: StackFilling;
  /** False for throw-away data: faster. */
  durable?: boolean;
  /** Settings of the PostgreSQL server, over the stack's own. */
  postgresSettings?: Readonly<Record<string, string>>;
  /** False to run without any Redis. */
  withRedis?: boolean;
  /** With a stand-in for Entra ID. Default: without, because only what signs in with tokens needs its process. */
  withOidc?: boolean;
  /** Queue settings that differ from Azure's. */
  queues?: QueueOverrides;
  /** More settings for the app. They override the stack's own. */
  settings?: AppSettings;
  /** Collects spans and metrics, in `telemetry/` of the folder. */
  telemetry?: boolean;
  /** The functions host lists its functions and logs every invocation. */
  verbose?: boolean;
  progress?: Progress;
  /** Called with the functions host's output. */
  onHostOutput?: ((text: string) => void) | undefined;
  /** Called when a part ends unexpectedly or comes back. */
  onEvent?: (text: string) => void;
  /** Cancels the start: the started parts are stopped, and the start throws. */
  signal?: AbortSignal;
}

/** A running stack. Each of its parts can be stopped, killed and started again. */
export interface Stack extends StackParts {
  baseUrl: string;
  folder: string;
  /** The content of stack.json. */
  file: StackFile;
  settings: AppSettings;
  /** Superuser connections: row security does not apply to them. */
  adminUrls: PerDatabase<string>;
  keys: SeedResult;
  host: ManagedProcess<HostReady>;
  /** Stops everything, the host first, and removes stack.json. May be called again. */
  stop(): Promise<void>;
}

/** Stops what was started, each once: first the last one, then the others together. */
class Stops {
  readonly #stops: (() => Promise<void>)[] = [];

  add(stop: () => Promise<void>): void {
    this.#stops.push(stop);
  }

  async run(): Promise<void> {
    const stops = this.#stops.splice(0).toReversed();
    const [first, ...rest] = stops;
    await first?.();
    await Promise.allSettled(rest.map((stop) => stop()));
  }
}

async function seedOnce(
  folder: string,
  secrets: StackSecrets,
  settings: AppSettings,
  fill: StackFilling['seed'] | undefined,
): Promise<SeedResult> {
  if (secrets.seed !== undefined) {
    return secrets.seed;
  }
  const seed = await (fill === undefined ? seedStack({ settings }) : fill(settings));
  writeSecrets(folder, { ...secrets, seed });
  return seed;
}

/** An account at Stripe itself is a person's: its key stays in that person's environment. */
function withoutAccount(settings: AppSettings): AppSettings {
  const { STRIPE_SECRET_KEY: _key, STRIPE_WEBHOOK_SECRETS: _secrets, ...others } = settings;
  return others;
}

function describeStack(stack: Omit<Stack, 'file' | 'stop'>): StackFile {
  const {
    CORE_DATABASE_URL: core,
    BILLING_DATABASE_URL: billing,
    ANALYTICS_DATABASE_URL: analytics,
  } = stack.settings;
  return {
    base_url: stack.baseUrl,
    tenants: stack.keys.tenants,
    operator: stack.keys.operator,
    people: stack.keys.people,
    postgres: stack.adminUrls,
    postgres_app: { core: core ?? '', billing: billing ?? '', analytics: analytics ?? '' },
    service_bus: stack.broker.ready.connectionString,
    blob: stack.blob,
    redis: stack.redisUrl,
    stripe:
      stack.stripe === null
        ? null
        : {
            url: stack.stripe.ready.url,
            secret_key: stack.settings['STRIPE_SECRET_KEY'] ?? '',
            webhook_secret: stack.settings['STRIPE_WEBHOOK_SECRETS'] ?? '',
          },
    oidc:
      stack.oidc === null
        ? null
        : {
            issuer: stack.oidc.ready.issuer,
            audience: AUDIENCE,
            tid: DIRECTORY_ID,
            token_url: `${stack.oidc.ready.issuer}/token`,
            tenant_id: 'acme',
          },
    settings: stack.stripe === null ? withoutAccount(stack.settings) : stack.settings,
    pid: process.pid,
  };
}

/** What all steps of a start use. */
interface Start {
  options: StackOptions;
  folder: string;
  progress: Progress;
  onEvent: (text: string) => void;
  onStarted: (stop: () => Promise<void>) => void;
}

/** Builds the app while the parts start. */
async function buildAndStartParts(
  start: Start,
  secrets: StackSecrets,
  withStripe: boolean,
): Promise<{ appDir: string; parts: StackParts }> {
  const { options, folder, progress, onEvent, onStarted } = start;
  const building = options.appDir ?? progress.step('build', () => buildApp());
  const starting = startParts({
    folder,
    secrets,
    progress,
    onEvent,
    onStarted,
    durable: options.durable ?? true,
    postgresSettings: options.postgresSettings ?? {},
    withRedis: options.withRedis ?? true,
    withStripe,
    withOidc: options.withOidc ?? false,
    queues: options.queues ?? {},
  });
  await Promise.allSettled([building, starting]);
  return { appDir: await building, parts: await starting };
}

async function startHost(
  start: Start,
  appDir: string,
  port: number,
  settings: AppSettings,
): Promise<ManagedProcess<HostReady>> {
  const { options, folder, progress, onEvent, onStarted } = start;
  const host = await progress.step(
    'functions host',
    () =>
      startHostChild({
        appDir,
        settings,
        port,
        stateDir: path.join(folder, 'host'),
        verbose: options.verbose ?? false,
        logFile: path.join(folder, 'logs', 'host.log'),
        onOutput: options.onHostOutput,
        onEvent,
      }),
    ({ ready }) => `http://127.0.0.1:${ready.port}  ${countFunctions(ready.functions)}`,
  );
  onStarted(() => host.stop());
  return host;
}

/** What the parts and the person's choices make of the app's settings, and the webhook that leads to the app. */
async function settleSettings(
  start: Start,
  parts: StackParts,
  given: StackSecrets,
): Promise<{ settings: AppSettings; secrets: StackSecrets; webhook: StripeWebhook | undefined }> {
  const { webhook, secrets } =
    parts.stripe === null
      ? { webhook: undefined, secrets: given }
      : await openStripeWebhook(start.folder, given, parts.stripe.ready.url);
  const own = makeAppSettings(secrets, {
    postgresPort: parts.postgres.port,
    serviceBus: parts.broker.ready.connectionString,
    blob: parts.blob,
    redis: parts.redisUrl,
    stripe:
      parts.stripe === null || webhook === undefined
        ? null
        : { url: parts.stripe.ready.url, webhookSecret: webhook.secret },
  });
  return { settings: own, secrets, webhook };
}

async function startInFolder(start: Start): Promise<Omit<Stack, 'stop'>> {
  const { folder, progress, options } = start;
  const account = findStripeAccount(options.settings ?? {}, process.env);
  mkdirSync(path.join(folder, 'logs'), { recursive: true });
  removeStackFile(folder);
  const opened = openSecrets(folder);
  const { appDir, parts } = await buildAndStartParts(start, opened, account === undefined);
  options.signal?.throwIfAborted();
  const { urls: adminUrls } = await progress.step(
    'migrations',
    () => prepareDatabases(parts.postgres, opened, options.filling?.migrate),
    ({ applied }) => (applied === 0 ? 'up to date' : `${applied} applied`),
  );
  options.signal?.throwIfAborted();
  const { settings: own, secrets, webhook } = await settleSettings(start, parts, opened);
  const telemetry = options.telemetry === true ? await startTelemetry(folder) : undefined;
  if (telemetry !== undefined) start.onStarted(() => telemetry.stop());
  const known = { ...own, ...account, ...telemetry?.settings, ...options.settings };
  const keys = await progress.step('seed', () => seedOnce(folder, secrets, known, options.filling?.seed));
  if (parts.oidc !== null) await keepProvider(adminUrls.core, parts.oidc.ready.issuer);
  options.signal?.throwIfAborted();
  if (parts.stripe !== null)
    await progress.step(
      'plans at Stripe',
      () => (options.filling?.carry ?? carryPlans)(known),
      (count) => `${count} carried`,
    );
  options.signal?.throwIfAborted();
  const port = await findNextFreePort(options.port ?? FIRST_HOST_PORT);
  const settings = { ...returnOrigins(port), ...known };
  const host = await startHost(start, appDir, port, settings);
  options.signal?.throwIfAborted();
  const baseUrl = `http://127.0.0.1:${host.ready.port}`;
  await webhook?.pointTo(baseUrl);
  const running = { ...parts, baseUrl, folder, settings, adminUrls, keys, host };
  const file = describeStack(running);
  writeStackFile(folder, file);
  return { ...running, file };
}

/**
 * Starts the whole local stack on the data in `folder`: builds the app, starts the parts at the same time, migrates, seeds
 * once, starts the functions host and writes stack.json. Throws StackRunningError when another stack uses the folder. After
 * a failure, everything that had started is stopped before it throws.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const folder = path.resolve(options.folder);
  const local = await takeLocalFolder(folder, options.fresh ?? false);
  const stops = new Stops();
  const stop = async (): Promise<void> => {
    removeStackFile(folder);
    await stops.run();
    local.release();
  };
  try {
    const running = await startInFolder({
      options,
      folder,
      progress: options.progress ?? NO_PROGRESS,
      onEvent: options.onEvent ?? (() => undefined),
      onStarted: (stopOne) => {
        stops.add(stopOne);
        local.writeGuard(readGuardPid());
      },
    });
    return { ...running, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The folder of `npm start`. */
export const LOCAL_FOLDER = path.join(APP_FOLDER, '.local');
