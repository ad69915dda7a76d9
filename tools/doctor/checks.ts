import { DATABASES } from '../migrate/databases.ts';
import { blobContainers, blobProtection, blobsReachable } from './blobs/blobs.ts';
import { deadLetters, queues } from './bus/queues.ts';
import { queueSettings } from './bus/queue-settings.ts';
import type { Check } from './check.ts';
import { clocks, publicClock } from './clock/clocks.ts';
import { connections } from './databases/connections.ts';
import { migrations } from './databases/migrations.ts';
import { partitions } from './databases/partitions.ts';
import { reachable } from './databases/reachable.ts';
import { roles } from './databases/roles.ts';
import { isolation, schema } from './databases/schema.ts';
import { serverTls, serverVersion } from './databases/server.ts';
import { statementStatistics } from './databases/statement-statistics.ts';
import { currentKey, wrappingVersions } from './keys/keys.ts';
import { publicAuthentication, publicHeaders, publicHealth, publicStatus } from './public/health.ts';
import { oldTls, plainHttp, publicTls } from './public/tls.ts';
import { redisReachable, redisServer, redisTls } from './redis/redis.ts';
import { operatorKey, plans, platformTenant, taxonomy } from './seeds/seeds.ts';
import { misspeltSettings } from './settings/misspelt-settings.ts';
import { nodeVersion } from './settings/node-version.ts';
import { riskySettings } from './settings/risky-settings.ts';
import { validSettings, vaultReferences } from './settings/valid-settings.ts';
import { stripeKey, stripeWebhook } from './stripe/stripe.ts';
import { allowances, outbox, quarantine, stripeEvents } from './work/backlogs.ts';
import { jobs } from './work/jobs.ts';

/** What can be seen from outside, without any setting. */
export const PUBLIC_CHECKS: readonly Check[] = [
  publicClock,
  publicTls,
  oldTls,
  plainHttp,
  publicHealth,
  publicAuthentication,
  publicHeaders,
  publicStatus,
];

/** Every check, in the order of the report. */
export const CHECKS: readonly Check[] = [
  validSettings,
  vaultReferences,
  misspeltSettings,
  riskySettings,
  nodeVersion,
  ...DATABASES.flatMap((database) => [
    reachable(database),
    serverVersion(database),
    serverTls(database),
    roles(database),
    isolation(database),
    migrations(database),
    schema(database),
    connections(database),
    statementStatistics(database),
  ]),
  partitions,
  ...clocks,
  redisReachable,
  redisServer,
  redisTls,
  queues,
  deadLetters,
  queueSettings,
  blobsReachable,
  blobContainers,
  blobProtection,
  currentKey,
  wrappingVersions,
  stripeKey,
  stripeWebhook,
  platformTenant,
  taxonomy,
  plans,
  operatorKey,
  jobs,
  outbox,
  quarantine,
  allowances,
  stripeEvents,
  ...PUBLIC_CHECKS,
];
