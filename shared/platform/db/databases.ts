import type { Settings } from '../config/settings.ts';
import { addGaugeSource } from '../telemetry/metrics.ts';
import { tellTlsFault } from '../tls/tls.ts';
import { appPassword, crossTenantPassword, type PasswordSource } from '../entra/database-password.ts';
import { GuardedPool, type PoolOf } from './guarded-pool.ts';
import { openPool, type Pool, type PoolOptions } from './pool.ts';
import { HealthMonitor, type Probe } from './health-monitor.ts';

/** Checks the server of `url` with one connection, which stays open between two checks. */
export function openProbe(open: () => Pool, url: string): Probe {
  let pool = open();
  const drop = (): Promise<void> => pool.end({ timeout: 0 }).catch(() => undefined);
  return {
    ask: () =>
      pool.unsafe('select 1').catch((error: unknown) => {
        tellTlsFault(url, error);
        throw error;
      }),
    renew() {
      void drop();
      pool = open();
    },
    close: drop,
  };
}

/** The pools of one database: `app` for requests (bound to a tenant), `crossTenant` for work across tenants. */
export interface DatabasePools {
  readonly app: GuardedPool;
  readonly crossTenant: GuardedPool;
}

/** The three databases. No query and no transaction spans two of them. */
export interface Databases {
  readonly core: DatabasePools;
  readonly billing: DatabasePools;
  readonly analytics: DatabasePools;
  close(): Promise<void>;
}

/** Opens all pools of the settings. None of them connects yet. Pools of the same server share a health monitor. */
export function openDatabases(settings: Settings): Databases {
  const monitors = new Map<string, HealthMonitor>();
  const options = (name: string, url: string, max: number, password: PasswordSource): PoolOptions => ({
    url,
    max,
    applicationName: `comply-ai:${name}`,
    prepare: settings.DATABASE_PREPARE,
    extraCa: settings.EXTRA_CA_CERTS,
    ...(password === undefined ? {} : { password }),
  });
  const open = (
    of: PoolOf,
    name: string,
    url: string,
    max: number,
    password: PasswordSource,
  ): GuardedPool => {
    const server = new URL(url).host;
    let monitor = monitors.get(server);
    if (monitor === undefined) {
      monitor = new HealthMonitor(
        openProbe(
          () => openPool({ ...options('health-monitor', url, 1, password), idleTimeoutS: null }),
          url,
        ),
      );
      monitors.set(server, monitor);
    }
    return new GuardedPool(
      { of, open: () => openPool(options(name, url, 1, password)), max, shares: settings.DATABASE_PREPARE },
      monitor,
    );
  };
  const pair = (database: string, app: string, crossTenant: string): DatabasePools => ({
    app: open({ database, role: 'app' }, database, app, settings.DATABASE_POOL_MAX, appPassword(settings)),
    crossTenant: open(
      { database, role: 'cross_tenant' },
      `${database}-cross-tenant`,
      crossTenant,
      settings.DATABASE_CROSS_TENANT_POOL_MAX,
      crossTenantPassword(settings),
    ),
  });
  const core = pair('core', settings.CORE_DATABASE_URL, settings.CORE_CROSS_TENANT_DATABASE_URL);
  const billing = pair('billing', settings.BILLING_DATABASE_URL, settings.BILLING_CROSS_TENANT_DATABASE_URL);
  const analytics = pair(
    'analytics',
    settings.ANALYTICS_DATABASE_URL,
    settings.ANALYTICS_CROSS_TENANT_DATABASE_URL,
  );
  const pools = [core, billing, analytics].flatMap(({ app, crossTenant }) => [app, crossTenant]);
  const forget = addGaugeSource(() => pools.flatMap(poolGauges));
  return {
    core,
    billing,
    analytics,
    async close() {
      forget();
      await Promise.all(pools.map((pool) => pool.end(5)));
      await Promise.all([...monitors.values()].map((monitor) => monitor.close()));
    },
  };
}

function poolGauges({ of, size }: GuardedPool) {
  if (of === undefined) return [];
  return Object.entries(size).map(([state, value]: [string, number]) => ({
    name: 'database_connection_pool_size' as const,
    attributes: { ...of, state },
    value,
  }));
}
