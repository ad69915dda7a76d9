import { namesTenant, namingKeyPatterns, tenantKeyPatterns } from '../../../platform/cache/keys.ts';
import { DependencyUnavailable } from '../../../platform/db/errors.ts';
import { finishStep } from '../ledger.ts';
import { stepAfter } from '../steps.ts';
import type { ErasureWork, StepOutcome } from '../work.ts';

/** Deletes what Redis has of the tenant. */
export async function clearCache(work: ErasureWork): Promise<StepOutcome> {
  const { services, erasure, now } = work;
  for (const pattern of tenantKeyPatterns(erasure.tenant_id))
    for await (const keys of keysOf(work, pattern)) await services.cache.drop(...keys);
  await finishStep(services.crossTenant.core, erasure, stepAfter(erasure.step), {}, now);
  return 'done';
}

/** Counts the keys in Redis that name the tenant in any part. */
export async function countCacheKeys(work: ErasureWork): Promise<number> {
  const found = new Set<string>();
  for (const pattern of namingKeyPatterns(work.erasure.tenant_id))
    for await (const keys of keysOf(work, pattern))
      for (const key of keys) if (namesTenant(key, work.erasure.tenant_id)) found.add(key);
  return found.size;
}

/** Walks over keys in batches. @throws DependencyUnavailable: without an answer nobody knows what Redis has. */
async function* keysOf({ services }: ErasureWork, pattern: string): AsyncGenerator<readonly string[]> {
  if (!services.cache.configured) return;
  let cursor = '0';
  do {
    const page = await services.cache.scan(pattern, cursor);
    if (page === undefined) throw new DependencyUnavailable('Redis');
    if (page.keys.length > 0) yield page.keys;
    ({ cursor } = page);
  } while (cursor !== '0');
}
