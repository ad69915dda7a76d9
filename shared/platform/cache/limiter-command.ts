import type { Redis } from 'ioredis';
import { RateLimiterRedis } from 'rate-limiter-flexible';

/**
 * Makes the rate limiter's own command known to a client that has sent nothing yet. The library does that with its first limiter.
 * Commands of one turn share a pipeline, and a pipeline that was begun before would not know the command: the results of all
 * its commands would then be misread, and the error would end the process.
 */
export function defineLimiterCommand(client: Redis): void {
  new RateLimiterRedis({ storeClient: client, points: 1, duration: 1 });
}
