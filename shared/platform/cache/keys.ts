import { createHmac } from 'node:crypto';

/**
 * The keys that this app writes into Redis, and no others: six of the reference's eight patterns. There are no users'
 * sessions yet, and a tenant's settings are not cached in Redis: an erased tenant would live on in such a copy.
 */

/**
 * What stands for content in a key: an HMAC under the tenant's data key. A plain hash of a short content could be
 * guessed, and would outlive the erasure of the data key.
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
export const rateLimitPrefix = 'rate:limit';
export const circuitBreakerKey = (serviceName: string): string => `circuit:breaker:${serviceName}`;
export const healthCheckKey = (serviceName: string, instanceId: string): string =>
  `health:${serviceName}:${instanceId}`;
