import { createHmac } from 'node:crypto';

/** The reference's eight key patterns: the only keys that this app writes into Redis. */

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
export const tenantConfigKey = (tenantId: string): string => `config:tenant:${tenantId}`;
export const modelConfigKey = (modelName: string, version: string): string =>
  `config:model:${modelName}:${version}`;
export const userSessionKey = (userId: string): string => `session:user:${userId}`;
export const rateLimitPrefix = 'rate:limit';
export const circuitBreakerKey = (serviceName: string): string => `circuit:breaker:${serviceName}`;
export const healthCheckKey = (serviceName: string, instanceId: string): string =>
  `health:${serviceName}:${instanceId}`;
