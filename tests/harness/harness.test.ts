import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import postgres from 'postgres';
import { BlobServiceClient } from '@azure/storage-blob';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openBlobAccount } from './blobs.ts';
import { openDatabases } from './databases.ts';
import { LONGEST } from './longest-first.ts';
import { openRedis } from './redis.ts';

const databases = await openDatabases();
const others = await openDatabases();

async function askWho(url: string): Promise<unknown> {
  const sql = postgres(url, { max: 1 });
  try {
    const rows = await sql`select current_user::text as role, current_database()::text as database,
      (select count(*)::int from pg_class where relnamespace = 'public'::regnamespace
        and relname in ('tenants', 'usage_records', 'usage_metrics')) as tables`;
    return rows[0];
  } finally {
    await sql.end();
  }
}

test('every file that begins first is there', () => {
  expect(LONGEST.filter((file) => !existsSync(path.join(import.meta.dirname, '../..', file)))).toEqual([]);
});

describe('a test file', () => {
  test.each([
    ['admin', 'postgres'],
    ['owner', 'comply_owner'],
    ['app', 'comply_app'],
    ['crossTenant', 'comply_jobs'],
  ] as const)('connects to its own migrated databases as %s', async (login, role) => {
    for (const database of Object.values(databases)) {
      expect(await askWho(database[login])).toEqual({ role, database: database.name, tables: 1 });
    }
  });

  test('can open a second set of databases, separate from the first', async () => {
    const first = postgres(databases.core.admin, { max: 1 });
    const second = postgres(others.core.admin, { max: 1 });
    try {
      await first`insert into tenants (tenant_id, name) values ('only-here', 'Only here')`;
      expect(await second`select from tenants where tenant_id = 'only-here'`).toHaveLength(0);
    } finally {
      await Promise.all([first.end(), second.end()]);
    }
  });

  test('loads a module as it is now, and its errors tell their own line', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'comply-load-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'one.ts');
    const load = async (query: string, text: string): Promise<Error> => {
      writeFileSync(file, text);
      const { made } = (await import(`${pathToFileURL(file).href}?${query}`)) as { made: Error };
      return made;
    };
    const first = await load(
      '1',
      `interface A {\n  a: 1;\n}\nexport const made = new Error('first') satisfies Error;`,
    );
    const second = await load('2', `export const made: Error = new Error('second');`);
    expect([first.message, second.message]).toEqual(['first', 'second']);
    expect(first.stack).toMatch(/one\.ts:4:21\b/);
  });

  test('has its own Redis database', async () => {
    const { url } = await openRedis();
    const redis = new Redis(url);
    try {
      expect(await redis.dbsize()).toBe(0);
      await redis.set('a', '1');
      expect(await redis.get('a')).toBe('1');
    } finally {
      redis.disconnect();
    }
  });

  test('has its own storage account', async () => {
    const { connectionString } = await openBlobAccount();
    const container =
      BlobServiceClient.fromConnectionString(connectionString).getContainerClient('mapper-outputs');
    await container.create();
    await container.getBlockBlobClient('a').upload('text', 4);
    expect((await container.getBlockBlobClient('a').downloadToBuffer()).toString()).toBe('text');
  });
});
