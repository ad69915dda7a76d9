import { z } from 'zod';
import { openApiClient } from '../dev/client/api-client.ts';
import type { BenchStack } from './bench-stack.ts';

/** Tenants of the benches that ask for many: more than share a statement by chance, fewer than the caches hold. */
export const TENANTS = 200;
/** Tenants made at a time. */
const AT_ONCE = 8;

const made = z.looseObject({ owner_api_key: z.string() });

/**
 * Makes tenants as an operator does, on a paid plan, each with the key and the limits that a tenant gets by default.
 * Answers their keys,
 * that of `tenant-0` first.
 */
export async function makeTenants(bench: BenchStack): Promise<readonly string[]> {
  const client = openApiClient(bench.stack.baseUrl, bench.stack.keys.operator);
  const keys: string[] = [];
  const make = async (n: number): Promise<void> => {
    const tenant = { tenant_id: `tenant-${n}`, name: `Tenant ${n}`, plan_id: 'professional' };
    const answer = await client.send('POST', '/api/v1/platform/tenants', tenant);
    if (answer.status !== 201) throw new Error(`a tenant is ${answer.status}`);
    keys[n] = made.parse(answer.body).owner_api_key;
  };
  for (let first = 0; first < TENANTS; first += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, TENANTS - first) }, (_, n) => make(first + n)));
  return keys;
}
