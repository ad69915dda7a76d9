import { z } from 'zod';
import { healthCheckKey } from '../../platform/cache/keys.ts';
import { newId } from '../../platform/ids/ids.ts';
import type { DataKeys } from '../../platform/crypto/data-keys.ts';
import { KeyUnavailable } from '../../platform/crypto/key-unavailable.ts';
import { UnsupportedServer } from '../../platform/db/server-version.ts';
import type { BlobStore } from '../../platform/blob/blob-store.ts';
import type { BusSender } from '../../platform/bus/bus-sender.ts';
import type { Cache } from '../../platform/cache/cache.ts';
import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import type { CrossTenantDatabases } from '../../platform/call/call.ts';
import { setGauge } from '../../platform/telemetry/metrics.ts';
import { MINUTE_MS, type Clock } from '../../platform/time/clock.ts';

/** A slower probe counts as failed: a load balancer does not wait. */
const PROBE_TIMEOUT_MS = 1_500;
/** Several gateways probe at once and share an answer for this time. */
const ANSWER_TTL_MS = 1_000;
const REDIS_TTL_S = 60;
/** An older probe does not say how a dependency is now. */
const UP_TTL_MS = 5 * MINUTE_MS;

const dependency = z.object({
  name: z.enum(['core', 'billing', 'analytics', 'redis', 'service_bus', 'blob', 'key_vault']),
  status: z.enum(['healthy', 'unhealthy', 'absent']),
  latency_ms: z.number().nullable(),
  detail: z.string().optional().describe('What is wrong, if someone has to correct it.'),
});

/** `GET /health/ready`. */
export const readiness = z.object({
  status: z.enum(['healthy', 'degraded', 'unhealthy']),
  checked_at: z.string(),
  dependencies: z.array(dependency),
});
/** The state of the app and its dependencies. */
export type Readiness = z.output<typeof readiness>;
type Dependency = z.output<typeof dependency>;
/** The names of the dependencies. */
export type DependencyName = Dependency['name'];

/** The name of the service itself, beside its dependencies. */
export const OWN_SERVICE = 'backend';

/** What is probed. */
export interface ProbedServices {
  readonly clock: Clock;
  readonly crossTenant: CrossTenantDatabases;
  readonly cache: Pick<Cache, 'configured' | 'ping' | 'write'>;
  readonly bus: Pick<BusSender, 'ping'>;
  readonly blobs: Pick<BlobStore, 'ping'>;
  readonly dataKeys: Pick<DataKeys, 'wrapping'>;
}

const instanceId = newId();
const memories = new WeakMap<ProbedServices, SingleFlightCache<Readiness>>();

async function probe(name: Dependency['name'], ask: () => Promise<unknown>): Promise<Dependency> {
  const start = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('timeout')), PROBE_TIMEOUT_MS);
  });
  try {
    await Promise.race([ask(), timeout]);
    return { name, status: 'healthy', latency_ms: Math.round((performance.now() - start) * 100) / 100 };
  } catch (error) {
    const detail = detailOf(error);
    return { name, status: 'unhealthy', latency_ms: null, ...(detail === undefined ? {} : { detail }) };
  } finally {
    clearTimeout(timer);
  }
}

/** What someone has to correct. Anyone may read it, so it does not name the vault. */
function detailOf(error: unknown): string | undefined {
  if (error instanceof UnsupportedServer) return error.detail;
  return error instanceof KeyUnavailable ? error.shortly : undefined;
}

/** Nothing for keys from a setting. While the vault does not answer, a process goes on with the versions that it has read. */
async function probeVault({ dataKeys: { wrapping } }: ProbedServices): Promise<Dependency[]> {
  return wrapping.place.vault === null ? [] : [await probe('key_vault', () => wrapping.probe())];
}

async function probeRedis(services: ProbedServices): Promise<Dependency> {
  if (!services.cache.configured) return { name: 'redis', status: 'absent', latency_ms: null };
  return probe('redis', async () => {
    if ((await services.cache.ping()) === undefined) throw new Error('no answer');
  });
}

async function check(services: ProbedServices): Promise<Readiness> {
  const one = `select 1`;
  const [vault, ...others] = await Promise.all([
    probeVault(services),
    probe('core', () => services.crossTenant.core.query(one)),
    probe('billing', () => services.crossTenant.billing.query(one)),
    probe('analytics', () => services.crossTenant.analytics.query(one)),
    probeRedis(services),
    probe('service_bus', () => services.bus.ping('usage-events')),
    probe('blob', () => services.blobs.ping()),
  ]);
  const dependencies = [...others, ...vault];
  const status = statusOfAll(dependencies);
  const checkedAt = services.clock.now().toISOString();
  const keep = (name: string, value: object): void =>
    void services.cache.write(healthCheckKey(name, instanceId), value, REDIS_TTL_S).catch(() => undefined);
  for (const part of dependencies) {
    keep(part.name, part);
    if (part.status !== 'absent')
      setGauge('dependency_up', { dependency: part.name }, part.status === 'healthy' ? 1 : 0, UP_TTL_MS);
  }
  keep(OWN_SERVICE, { name: OWN_SERVICE, status, checked_at: checkedAt });
  return { status, checked_at: checkedAt, dependencies };
}

/** The status of the service with its dependencies. */
export function statusOfAll(
  dependencies: readonly { readonly name: DependencyName; readonly status: string }[],
): Readiness['status'] {
  const failed = new Set(dependencies.filter((part) => part.status === 'unhealthy').map((part) => part.name));
  // Requests need the core database; free tenants' requests also need billing. Work for the other dependencies is caught up
  // with later. Without Redis every request works, but slower. Without the key vault, what was read of it in time still opens.
  if (failed.has('core') || failed.has('billing')) return 'unhealthy';
  return dependencies.some((part) => part.status !== 'healthy') ? 'degraded' : 'healthy';
}

function memoryOf(services: ProbedServices): SingleFlightCache<Readiness> {
  let memory = memories.get(services);
  if (memory === undefined) {
    memory = new SingleFlightCache({ ttlMs: ANSWER_TTL_MS, max: 1 });
    memories.set(services, memory);
  }
  return memory;
}

/** Probes all dependencies at once. */
export async function checkReadiness(services: ProbedServices): Promise<Readiness> {
  return memoryOf(services).find('readiness', () => check(services));
}
