import { createRequire } from 'node:module';
import { findProgram } from '../processes/find-program.ts';

/** What `npm start` says when there is no Redis: what it costs, and how to have one. */
export const NO_REDIS =
  'none found. Everything works, but nothing is cached, and rate limits start from zero with every start.\n' +
  '    To have one: redis-server or valkey-server on the PATH, or REDIS_URL. On Debian: npx node dev/packages/install.ts redis-server';

/** Absolute path of the Redis server on the PATH: `redis-server`, else `valkey-server`. */
export function findRedisServer(): string | undefined {
  return findProgram(['redis-server', 'valkey-server']);
}

interface RedisBinaryModule {
  default: { getPath(): Promise<string> };
}

/**
 * The server of `redis-memory-server`, if a developer has installed that package. It is not a dependency: its installation
 * builds or downloads a server, which many machines do not allow.
 */
export async function findRedisMemoryServer(): Promise<string | undefined> {
  try {
    const require = createRequire(import.meta.url);
    const binary = require('redis-memory-server/lib/util/RedisBinary') as RedisBinaryModule;
    return await binary.default.getPath();
  } catch {
    return undefined;
  }
}
