import { z } from 'zod';
import { openApiClient } from '../dev/client/api-client.ts';
import type { BenchStack } from './bench-stack.ts';

/** Enough tenants that requests rarely share a statement, and few enough for the caches. */
export const TENANTS = 200;
/** Tenants made at the same time. */
const AT_ONCE = 8;

const made = z.looseObject({ owner_api_key: z.string() });

/**
 * Makes tenants on a paid plan, as an operator does. Each gets the default key with the default limits. Returns their keys,
 * in order from `tenant-0`.
 */
export async function makeTenants(bench: BenchStack): Promise<readonly string[]> {
  const client = openApiClient(bench.stack.baseUrl, bench.stack.keys.operator);
  const keys: string[] = [];
  const make = async (n: number): Promise<void> => {
    const tenant = { tenant_id: `tenant-${n}`, name: `Tenant ${n}`, plan_id: 'professional' };
    const answer = await client.send('POST', '/api/v1/platform/tenants', tenant);
    if (answer.status !== 201) throw new Error(`creating a tenant returned ${answer.status}`);
    keys[n] = made.parse(answer.body).owner_api_key;
  };
  for (let first = 0; first < TENANTS; first += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, TENANTS - first) }, (_, n) => make(first + n)));
  return keys;
}
