import { createHmac } from 'node:crypto';

/**
 * All keys that this app writes into Redis: seven of the reference's eight patterns. A
 * tenant's settings are not cached in Redis, because the copy would survive the tenant's erasure.
 */

/**
 * Stands for content in a key: an HMAC with the tenant's data key. A plain hash of short content could be guessed, and would
 * survive the destruction of the data key.
 */
export function contentHash(dataKey: Uint8Array, ...parts: readonly string[]): string {
  const hash = createHmac('sha256', dataKey);
  for (const part of parts) hash.update(`${part.length}:${part}`);
  return hash.digest('base64url').slice(0, 32);
}

export const mapperResponseKey = (tenantId: string, detectorHash: string): string =>
  `mapper:response:${tenantId}:${detectorHash}`;
export const detectorResultKey = (tenantId: string, contentHash: string): string =>
  `detector:result:${tenantId}:${contentHash}`;
export const modelConfigKey = (modelName: string, version: string): string =>
  `config:model:${modelName}:${version}`;
/** When something about a person's sessions or rights last changed. It holds no session, so nothing stale can be read from it. */
export const userSessionKey = (userId: string): string => `session:user:${userId}`;
export const rateLimitPrefix = 'rate:limit';
export const circuitBreakerKey = (serviceName: string): string => `circuit:breaker:${serviceName}`;
export const healthCheckKey = (serviceName: string, instanceId: string): string =>
  `health:${serviceName}:${instanceId}`;

/** Patterns of all keys of a tenant, for its erasure. A tenant's id has no character that a pattern treats specially. */
export const tenantKeyPatterns = (tenantId: string): readonly string[] => [
  mapperResponseKey(tenantId, '*'),
  detectorResultKey(tenantId, '*'),
  `${rateLimitPrefix}:${tenantId}:*`,
];
/** Keys whose words stand for something else, where a tenant may have the same name. */
const OF_NO_TENANT = [
  modelConfigKey('', '').slice(0, -1),
  userSessionKey(''),
  circuitBreakerKey(''),
  healthCheckKey('', '').slice(0, -1),
];
/** Keys that name their tenant right after this. */
const OF_TENANT = [mapperResponseKey('', '').slice(0, -1), detectorResultKey('', '').slice(0, -1)];

/** Whether a key that {@link namingKeyPatterns} finds really names the tenant. An unknown key does. */
export function namesTenant(key: string, tenantId: string): boolean {
  if (OF_NO_TENANT.some((prefix) => key.startsWith(prefix))) return false;
  const of = OF_TENANT.find((prefix) => key.startsWith(prefix));
  return of === undefined || key.startsWith(`${of}${tenantId}:`);
}

/** Patterns of every key that names a tenant in any part, also one that {@link tenantKeyPatterns} forgets. */
export const namingKeyPatterns = (tenantId: string): readonly string[] => [
  `*:${tenantId}:*`,
  `*:${tenantId}`,
];
