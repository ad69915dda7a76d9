import path from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { CONTAINERS } from '../../shared/platform/blob/blob-store.ts';
import { startAzurite } from '../azurite/start-azurite.ts';
import type { AzuriteServer } from '../azurite/start-azurite.ts';
import { startPostgres } from '../postgres/start-postgres.ts';
import type { PostgresServer } from '../postgres/start-postgres.ts';
import { NO_REDIS } from '../redis/find-redis.ts';
import { startRedis } from '../redis/start-redis.ts';
import type { RedisServer } from '../redis/start-redis.ts';
import { readPorts, writePorts } from './ports.ts';
import type { ManagedProcess } from '../processes/managed-process.ts';
import type { Progress } from './progress.ts';
import type { StackSecrets } from './secrets.ts';
import { startBrokerChild } from './start-broker-child.ts';
import type { BrokerReady, QueueOverrides } from './start-broker-child.ts';
import { startOidcChild } from './start-oidc-child.ts';
import type { OidcReady } from './start-oidc-child.ts';
import { startStripeChild } from './start-stripe-child.ts';
import type { StripeReady } from './start-stripe-child.ts';

const STORAGE_ACCOUNT = 'complylocal';

/** The running parts that the app uses. */
export interface StackParts {
  postgres: PostgresServer;
  azurite: AzuriteServer;
  broker: ManagedProcess<BrokerReady>;
  /** Null when this stack runs without Redis, or with the one in REDIS_URL. */
  redis: RedisServer | null;
  redisUrl: string | null;
  /** The stand-in; null with an account at Stripe itself. */
  stripe: ManagedProcess<StripeReady> | null;
  /** The stand-in for Entra ID; null in a stack without it. */
  oidc: ManagedProcess<OidcReady> | null;
  blob: string;
}

/** Options of {@link startParts}. */
export interface PartsOptions {
  folder: string;
  secrets: StackSecrets;
  /** False for throw-away data. */
  durable: boolean;
  postgresSettings: Readonly<Record<string, string>>;
  withRedis: boolean;
  /** False with an account at Stripe itself. */
  withStripe: boolean;
  withOidc: boolean;
  queues: QueueOverrides;
  progress: Progress;
  onEvent: (text: string) => void;
  /** Called for each part as soon as it has started, with the function that stops it. */
  onStarted: (stop: () => Promise<void>) => void;
}

async function startAndMakeContainers(
  options: PartsOptions,
  port: number | undefined,
): Promise<AzuriteServer> {
  const { folder, secrets, onEvent, onStarted } = options;
  const azurite = await startAzurite({
    location: path.join(folder, 'azurite'),
    logFile: path.join(folder, 'logs', 'azurite.log'),
    accounts: [{ name: STORAGE_ACCOUNT, key: secrets.storageKey }],
    port,
    restart: true,
    onEvent,
  });
  onStarted(() => azurite.stop());
  const service = BlobServiceClient.fromConnectionString(azurite.connectionString(STORAGE_ACCOUNT));
  await Promise.all(
    Object.values(CONTAINERS).map((name) => service.getContainerClient(name).createIfNotExists()),
  );
  return azurite;
}

async function startOwnRedis(options: PartsOptions, port: number | undefined): Promise<RedisServer | null> {
  const { folder, secrets, onEvent, onStarted } = options;
  const redis = await startRedis({
    logFile: path.join(folder, 'logs', 'redis.log'),
    password: secrets.redisPassword,
    port,
    restart: true,
    onEvent,
  });
  if (redis !== null) {
    onStarted(() => redis.stop());
  }
  return redis;
}

async function startOwnPostgres(options: PartsOptions, port: number | undefined): Promise<PostgresServer> {
  const { folder, secrets, durable, postgresSettings, onEvent, onStarted } = options;
  const postgres = await startPostgres({
    dataDir: path.join(folder, 'postgres'),
    logFile: path.join(folder, 'logs', 'postgres.log'),
    password: secrets.postgresPassword,
    port,
    durable,
    settings: postgresSettings,
    restart: true,
    onEvent,
  });
  onStarted(() => postgres.stop());
  return postgres;
}

async function startOwnBroker(
  options: PartsOptions,
  port: number | undefined,
): Promise<ManagedProcess<BrokerReady>> {
  const { folder, secrets, onEvent, onStarted } = options;
  const broker = await startBrokerChild({
    dataDir: path.join(folder, 'broker'),
    key: secrets.brokerKey,
    port,
    queues: options.queues,
    logFile: path.join(folder, 'logs', 'broker.log'),
    onEvent,
  });
  onStarted(() => broker.stop());
  return broker;
}

async function startOwnStripe(
  options: PartsOptions,
  port: number | undefined,
): Promise<ManagedProcess<StripeReady>> {
  const { folder, secrets, onEvent, onStarted } = options;
  const stripe = await startStripeChild({
    dataDir: path.join(folder, 'stripe'),
    secretKey: secrets.stripeSecretKey,
    port,
    logFile: path.join(folder, 'logs', 'stripe.log'),
    onEvent,
  });
  onStarted(() => stripe.stop());
  return stripe;
}

async function startOwnOidc(
  options: PartsOptions,
  port: number | undefined,
): Promise<ManagedProcess<OidcReady>> {
  const { folder, onEvent, onStarted } = options;
  const oidc = await startOidcChild({
    dataDir: path.join(folder, 'oidc'),
    port,
    logFile: path.join(folder, 'logs', 'oidc.log'),
    onEvent,
  });
  onStarted(() => oidc.stop());
  return oidc;
}

/** Waits for all starts, also when one fails, so that every started part can be stopped. Throws the first failure. */
async function settleAll<T extends readonly unknown[]>(starts: {
  [K in keyof T]: Promise<T[K]>;
}): Promise<T> {
  await Promise.allSettled(starts);
  return await Promise.all(starts);
}

/** Starts PostgreSQL, Azurite, the broker, Redis and the stand-ins at the same time, on the ports of the last start if they are free. */
export async function startParts(options: PartsOptions): Promise<StackParts> {
  const { folder, progress } = options;
  const ports = readPorts(folder);
  const givenRedis = process.env['REDIS_URL'];
  const where = ({ port }: { port: number }): string => `127.0.0.1:${port}`;
  const [postgres, azurite, broker, redis, stripe, oidc] = await settleAll<
    [
      PostgresServer,
      AzuriteServer,
      ManagedProcess<BrokerReady>,
      RedisServer | null,
      ManagedProcess<StripeReady> | null,
      ManagedProcess<OidcReady> | null,
    ]
  >([
    progress.step('PostgreSQL', () => startOwnPostgres(options, ports.postgres), where),
    progress.step('Azurite (blobs)', () => startAndMakeContainers(options, ports.azurite), where),
    progress.step(
      'Service Bus broker',
      () => startOwnBroker(options, ports.broker),
      ({ ready }) => where(ready),
    ),
    options.withRedis && !givenRedis
      ? progress.step(
          'Redis',
          () => startOwnRedis(options, ports.redis),
          (started) => (started === null ? NO_REDIS : where(started)),
        )
      : Promise.resolve(null),
    options.withStripe
      ? progress.step(
          'Stripe (stand-in)',
          () => startOwnStripe(options, ports.stripe),
          ({ ready }) => where(ready),
        )
      : Promise.resolve(null),
    options.withOidc
      ? progress.step(
          'Entra ID (local)',
          () => startOwnOidc(options, ports.oidc),
          ({ ready }) => where(ready),
        )
      : Promise.resolve(null),
  ]);
  if (options.withRedis && givenRedis) {
    progress.note('  ✓ Redis                       from REDIS_URL');
  }
  writePorts(folder, {
    postgres: postgres.port,
    azurite: azurite.port,
    broker: broker.ready.port,
    ...(redis === null ? {} : { redis: redis.port }),
    ...(stripe === null ? {} : { stripe: stripe.ready.port }),
    ...(oidc === null ? {} : { oidc: oidc.ready.port }),
  });
  const redisUrl = options.withRedis ? (givenRedis ?? redis?.url ?? null) : null;
  return {
    postgres,
    azurite,
    broker,
    redis,
    redisUrl,
    stripe,
    oidc,
    blob: azurite.connectionString(STORAGE_ACCOUNT),
  };
}
