import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { startRedis } from './start-redis.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'comply-redis-'));
const options = { logFile: path.join(folder, 'redis.log'), password: 'secret1' };

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a local Redis', () => {
  test('needs its password, is a bounded cache, and comes back empty on the same port', async () => {
    const server = await startRedis(options);
    if (server === null) {
      throw new Error('no Redis on this machine: run `npx node dev/packages/install.ts redis-server`');
    }
    const client = new Redis(server.url, { lazyConnect: true, retryStrategy: () => null });
    const stranger = new Redis(`redis://127.0.0.1:${server.port}`, { lazyConnect: true });
    stranger.on('error', () => undefined);
    client.on('error', () => undefined);
    try {
      await expect(stranger.set('a', '1')).rejects.toThrow('NOAUTH');
      expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'allkeys-lru']);
      await client.set('a', '1');
      await server.kill();
      await server.start();
      const again = new Redis(server.url);
      expect(await again.dbsize()).toBe(0);
      again.disconnect();
    } finally {
      client.disconnect();
      stranger.disconnect();
      await server.stop();
    }
  });

  test('is null on a machine without any', async () => {
    vi.stubEnv('PATH', folder);
    try {
      expect(await startRedis(options)).toBeNull();
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
