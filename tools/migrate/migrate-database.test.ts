import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres } from '../../dev/postgres/start-postgres.ts';
import type { PostgresServer } from '../../dev/postgres/start-postgres.ts';
import { withConnection } from './connect.ts';
import { findMigrationsFolder } from './databases.ts';
import { checkDatabase, migrateDatabase } from './migrate-database.ts';
import { checkServer, checkVersionNumber } from './server-version.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'comply-migrate-'));
let server: PostgresServer;
let databases = 0;

// These tests make the server's roles, so they need a separate server.
beforeAll(async () => {
  server = await startPostgres({
    dataDir: path.join(folder, 'postgres'),
    logFile: path.join(folder, 'postgres.log'),
    password: 'test',
    durable: false,
  });
});

afterAll(async () => {
  await server.stop('immediate');
  rmSync(folder, { recursive: true, force: true });
});

function nameNewDatabase(): string {
  databases += 1;
  return server.adminUrl(`migrated-${databases}`);
}

function writeMigrations(files: Record<string, string>): string {
  const target = mkdtempSync(path.join(folder, 'migrations-'));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(path.join(target, name), text);
  }
  return target;
}

const ONE = { '0001_one.sql': 'create table one (id integer primary key);' };
const TWO = { '0002_two.sql': 'create table two (id integer primary key);' };

async function ask(url: string, statement: string): Promise<unknown[]> {
  return withConnection(url, async (client) => (await client.query<Record<string, unknown>>(statement)).rows);
}

describe('migrating', () => {
  // This test must be the first one: it needs a server without our roles.
  test('makes roles, database and schema when several start at once, as an administrator without superuser rights, and applies each file once', async () => {
    await ask(server.adminUrl(), `create role azure_admin login createdb createrole password 'test'`);
    const url = new URL(server.adminUrl('by-azure-admin'));
    url.username = 'azure_admin';
    const migrations = findMigrationsFolder('core');
    const applied = await Promise.all(
      [1, 2, 3, 4].map(() => migrateDatabase(url.toString(), migrations, 'core')),
    );
    const names = readdirSync(migrations).map((name) => path.basename(name, '.sql'));
    expect(applied.flat().toSorted()).toEqual(names.toSorted());
    expect(await checkDatabase(url.toString(), migrations, 'core')).toEqual([]);
  });

  test('makes the owner role own the database, and lets only our roles connect', async () => {
    const url = nameNewDatabase();
    await migrateDatabase(url, writeMigrations(ONE), 'test');
    const rows = await ask(
      url,
      `select pg_get_userbyid(datdba) as owner, array(select distinct pg_get_userbyid(grantee)::text
         from aclexplode(datacl) where grantee <> datdba order by 1) as others,
         exists (select from aclexplode(datacl) where grantee = 0) as open,
         (select pg_get_userbyid(relowner) from pg_class where oid = 'one'::regclass) as table_owner
       from pg_database where datname = current_database()`,
    );
    expect(rows).toEqual([
      {
        owner: 'comply_owner',
        others: ['comply_app', 'comply_jobs'],
        open: false,
        table_owner: 'comply_owner',
      },
    ]);
  });

  test('applies what is new to a database that has the rest', async () => {
    const url = nameNewDatabase();
    expect(await migrateDatabase(url, writeMigrations(ONE), 'test')).toEqual(['0001_one']);
    const both = writeMigrations({ ...ONE, ...TWO });
    expect(await checkDatabase(url, both, 'test')).toEqual(['0002_two']);
    expect(await migrateDatabase(url, both, 'test')).toEqual(['0002_two']);
    expect(await migrateDatabase(url, both, 'test')).toEqual([]);
  });

  test('applies all or nothing: a failing file undoes the ones before it', async () => {
    const url = nameNewDatabase();
    const faulty = writeMigrations({ ...ONE, '0002_faulty.sql': 'create table two (id nonsense);' });
    await expect(migrateDatabase(url, faulty, 'test')).rejects.toThrow('type "nonsense" does not exist');
    expect(await ask(url, `select to_regclass('one') as one`)).toEqual([{ one: null }]);
    expect(await migrateDatabase(url, writeMigrations({ ...ONE, ...TWO }), 'test')).toEqual([
      '0001_one',
      '0002_two',
    ]);
  });

  test('runs a file marked no-transaction outside one, and what follows it', async () => {
    const url = nameNewDatabase();
    const migrations = writeMigrations({
      ...ONE,
      '0002_index.sql': '-- no-transaction\ncreate index concurrently one_id on one (id);',
      '0003_three.sql': 'create table three (id integer);',
    });
    expect(await migrateDatabase(url, migrations, 'test')).toEqual(['0001_one', '0002_index', '0003_three']);
    expect(await migrateDatabase(url, migrations, 'test')).toEqual([]);
  });

  test('runs each statement of such a file alone, and all of them again after one has failed', async () => {
    const url = nameNewDatabase();
    const indexes = (last: string) => ({
      ...ONE,
      '0002_indexes.sql': [
        '-- no-transaction',
        '-- Two indexes.',
        'drop index concurrently if exists one_id;',
        'create index concurrently one_id on one (id)',
        '  where id > 0;',
        `create index concurrently one_more on one (${last});`,
        '',
      ].join('\n'),
    });
    await expect(migrateDatabase(url, writeMigrations(indexes('nonsense')), 'test')).rejects.toThrow(
      'nonsense',
    );
    expect(await migrateDatabase(url, writeMigrations(indexes('id')), 'test')).toEqual(['0002_indexes']);
    expect(
      await ask(url, `select relname from pg_class where relkind = 'i' and relname like 'one%' order by 1`),
    ).toEqual([{ relname: 'one_id' }, { relname: 'one_more' }, { relname: 'one_pkey' }]);
  });
});

describe('migrating is refused when', () => {
  test('the server is older than PostgreSQL 16', async () => {
    await checkServer(server.adminUrl());
    for (const supported of [160_000, 170_009, 180_004, 190_000]) checkVersionNumber(supported);
    for (const old of [159_999, 150_013, 140_000, 90_624])
      expect(() => checkVersionNumber(old)).toThrow(
        /^the server runs PostgreSQL (15|14|9); this build needs 16 or later$/,
      );
  });

  describe('the connection would not be encrypted, though it leaves the machine', () => {
    /** This machine, under a name that looks remote. The test's server offers no encryption. */
    const elsewhere = (mode?: string): string => {
      const url = new URL(nameNewDatabase());
      url.hostname = '127.1';
      if (mode !== undefined) url.searchParams.set('sslmode', mode);
      return url.toString();
    };
    const run = (url: string) =>
      promisify(execFile)(process.execPath, ['tools/migrate/main.ts'], {
        env: { ...process.env, MIGRATE_CORE_URL: url, MIGRATE_BILLING_URL: url, MIGRATE_ANALYTICS_URL: url },
      }).catch((error: unknown) => error);
    const saidBy = async (url: string): Promise<string> => {
      const ended = await run(url);
      return ended instanceof Error && 'stderr' in ended ? String(ended.stderr) : '';
    };

    test.each([undefined, 'require', 'verify-full'])(
      'with sslmode %s the server must offer it',
      async (mode) => {
        await expect(migrateDatabase(elsewhere(mode), writeMigrations(ONE), 'test')).rejects.toThrow(
          'The server does not support SSL connections',
        );
        expect(await saidBy(elsewhere(mode))).toContain('The server does not support SSL connections');
      },
    );

    test.each(['disable', 'prefer', 'no-verify'])(
      'sslmode %s is refused, by the setting’s name',
      async (mode) => {
        const said = await saidBy(elsewhere(mode));
        expect(said).toContain('MIGRATE_CORE_URL: must have sslmode require, verify-ca, verify-full or none');
        expect(said).toContain('MIGRATE_ANALYTICS_URL');
        expect(said).not.toContain(':test@');
      },
    );

    test.each(['ssl=0', 'host=127.0.0.1', 'uselibpqcompat=true'])(
      'no other parameter bypasses that: %s',
      async (parameter) => {
        const url = `${elsewhere()}?${parameter}`;
        await expect(migrateDatabase(url, writeMigrations(ONE), 'test')).rejects.toThrow(
          'The server does not support SSL connections',
        );
        const near = new URL(nameNewDatabase());
        near.searchParams.set('host', '127.1');
        expect(await saidBy(near.toString())).toContain(
          'MIGRATE_CORE_URL: must name its host before the path',
        );
      },
    );
  });

  test('a file was changed after it was applied; other line ends are no change', async () => {
    const url = nameNewDatabase();
    await migrateDatabase(
      url,
      writeMigrations({ '0001_one.sql': 'create table one (\n  id integer\n);\n' }),
      'test',
    );
    const windows = writeMigrations({ '0001_one.sql': 'create table one (\r\n  id integer\r\n);\r\n' });
    expect(await migrateDatabase(url, windows, 'test')).toEqual([]);
    const edited = writeMigrations({ '0001_one.sql': 'create table one (\n  id bigint\n);\n' });
    await expect(migrateDatabase(url, edited, 'test')).rejects.toThrow(
      '0001_one was changed after it was applied',
    );
    await expect(checkDatabase(url, edited, 'test')).rejects.toThrow(
      '0001_one was changed after it was applied',
    );
  });

  test('the database has a migration that this build does not know', async () => {
    const url = nameNewDatabase();
    await migrateDatabase(url, writeMigrations({ ...ONE, ...TWO }), 'test');
    await expect(migrateDatabase(url, writeMigrations(ONE), 'test')).rejects.toThrow(
      'the database has 0002_two, which this build does not know: it is older than the schema',
    );
  });

  test('files are numbered with a gap or a double, or are no migrations', async () => {
    const url = nameNewDatabase();
    const gap = writeMigrations({ ...ONE, '0003_three.sql': 'select 1' });
    await expect(migrateDatabase(url, gap, 'test')).rejects.toThrow('0003_three.sql: expected number 2 here');
    const double = writeMigrations({ ...ONE, '0001_other.sql': 'select 1' });
    await expect(migrateDatabase(url, double, 'test')).rejects.toThrow(
      '0001_other.sql: expected number 2 here',
    );
    const stray = writeMigrations({ ...ONE, 'notes.txt': '' });
    await expect(migrateDatabase(url, stray, 'test')).rejects.toThrow('a migration is named');
  });

  test('a role of ours may pass row security', async () => {
    const url = nameNewDatabase();
    await migrateDatabase(url, writeMigrations(ONE), 'test');
    await ask(server.adminUrl(), 'alter role comply_jobs bypassrls');
    try {
      await expect(migrateDatabase(url, writeMigrations(ONE), 'test')).rejects.toThrow(
        'role comply_jobs has rights that it must not have',
      );
    } finally {
      await ask(server.adminUrl(), 'alter role comply_jobs nobypassrls');
    }
  });
});

test('the committed migrations of every database can be applied on their own', async () => {
  for (const database of ['core', 'billing', 'analytics'] as const) {
    const copy = path.join(folder, `copy-${database}`);
    mkdirSync(copy);
    for (const name of readdirSync(findMigrationsFolder(database))) {
      copyFileSync(path.join(findMigrationsFolder(database), name), path.join(copy, name));
    }
    const url = nameNewDatabase();
    expect(await migrateDatabase(url, copy, database)).toHaveLength(readdirSync(copy).length);
  }
});
