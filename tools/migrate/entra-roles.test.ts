import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'libpg-query';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../../dev/postgres/start-postgres.ts';
import { actAsJobs, whileActingAsJobs } from '../deploy/prepare-databases.ts';
import { withConnection } from './connect.ts';
import { DATABASES, findMigrationsFolder, nameDatabase } from './databases.ts';
import { labelStatement, mapEntraRoles, NoEntraError } from './entra-roles.ts';
import { migrateDatabase } from './migrate-database.ts';

const run = promisify(execFile);
const folder = mkdtempSync(path.join(tmpdir(), 'comply-entra-roles-'));
const APP = '00000000-0000-0000-0000-00000000000b';
const JOBS = '00000000-0000-0000-0000-00000000000c';
const ROLES = { comply_app: APP, comply_jobs: JOBS };
let server: PostgresServer;

/** The URL of a migrated database for an administrator as Azure has them: not a superuser. */
function administratorUrl(database: (typeof DATABASES)[number]): string {
  const url = new URL(server.adminUrl(nameDatabase(database)));
  url.username = 'azure_admin';
  return url.toString();
}

async function ask(url: string, statement: string, values: unknown[] = []): Promise<unknown[]> {
  return withConnection(
    url,
    async (client) => (await client.query<Record<string, unknown>>(statement, values)).rows,
  );
}

beforeAll(async () => {
  server = await startPostgres({
    dataDir: path.join(folder, 'postgres'),
    logFile: path.join(folder, 'postgres.log'),
    password: 'test',
    durable: false,
  });
  await ask(server.adminUrl(), `create role azure_admin login createdb createrole password 'test'`);
  for (const database of DATABASES)
    await migrateDatabase(administratorUrl(database), findMigrationsFolder(database), database);
});

afterAll(async () => {
  await server.stop('immediate');
  rmSync(folder, { recursive: true, force: true });
});

/** Labels as Azure's extension would keep them. This server has no such extension, so they are written into the catalogue. */
const label = (role: string, text: string): Promise<unknown[]> =>
  withConnection(server.adminUrl(), async (client) => {
    await client.query('set allow_system_table_mods = on');
    await client.query(`delete from pg_shseclabel where objoid = $1::regrole`, [role]);
    await client.query(
      `insert into pg_shseclabel (objoid, classoid, provider, label)
       values ($1::regrole, 'pg_authid'::regclass, 'pgaadauth', $2)`,
      [role, text],
    );
    return [];
  });

test('a server without sign-in with Entra is told as such, with the role', async () => {
  await expect(mapEntraRoles(administratorUrl('core'), ROLES)).rejects.toThrow(NoEntraError);
  await expect(mapEntraRoles(administratorUrl('core'), ROLES)).rejects.toThrow(
    /^comply_app: the server has no sign-in/,
  );
});

test('the statement labels the role itself with the identity’s object id', async () => {
  const parsed = await parse(labelStatement('comply_app', APP.toUpperCase()));
  expect(parsed.stmts?.[0]?.stmt).toEqual({
    SecLabelStmt: {
      objtype: 'OBJECT_ROLE',
      object: { String: { sval: 'comply_app' } },
      provider: 'pgaadauth',
      label: `aadauth,oid=${APP},type=service`,
    },
  });
});

test('roles that are the identities’ already stay as they are; only another identity’s is changed', async () => {
  await label('comply_app', `aadauth,oid=${APP},type=service`);
  await label('comply_jobs', `aadauth,oid=${JOBS.toUpperCase()},type=service`);
  expect(await mapEntraRoles(administratorUrl('core'), ROLES)).toEqual([]);
  // The jobs' identity was made again.
  await label('comply_jobs', `aadauth,oid=${APP},type=service`);
  await expect(mapEntraRoles(administratorUrl('core'), ROLES)).rejects.toThrow(/^comply_jobs/);
});

test('an administrator acts as comply_jobs only while the seed runs', async () => {
  const url = administratorUrl('core');
  const whoAmI = (): Promise<unknown[]> => ask(actAsJobs(url), 'select current_user as role');
  await expect(whoAmI()).rejects.toThrow('permission denied to set role');
  await whileActingAsJobs(url, async () => {
    expect(await whoAmI()).toEqual([{ role: 'comply_jobs' }]);
  });
  await expect(whoAmI()).rejects.toThrow('permission denied to set role');
  const failed = whileActingAsJobs(url, () => Promise.reject(new Error('no seed')));
  await expect(failed).rejects.toThrow('no seed');
  await expect(whoAmI()).rejects.toThrow('permission denied to set role');
});

test('the seed runs as an administrator who acts as comply_jobs, twice', async () => {
  const url = (database: (typeof DATABASES)[number]): string => actAsJobs(administratorUrl(database));
  const environment = {
    PATH: process.env['PATH'],
    DEPLOYMENT_ENVIRONMENT: 'dev',
    CORE_DATABASE_URL: url('core'),
    BILLING_DATABASE_URL: url('billing'),
    ANALYTICS_DATABASE_URL: url('analytics'),
    CORE_CROSS_TENANT_DATABASE_URL: url('core'),
    BILLING_CROSS_TENANT_DATABASE_URL: url('billing'),
    ANALYTICS_CROSS_TENANT_DATABASE_URL: url('analytics'),
    SERVICE_BUS_CONNECTION__fullyQualifiedNamespace: 'bus.example.com',
    BLOB_CONNECTION__blobServiceUri: 'https://evidence.example.com',
    KEY_VAULT_URL: 'https://vault.example.com',
    API_KEY_PEPPER: 'p'.repeat(44),
  };
  const seed = path.join(import.meta.dirname, '../seed/main.ts');
  await whileActingAsJobs(administratorUrl('core'), async () => {
    for (const args of [[], ['--operator-key', 'first']]) {
      const { stdout } = await run(process.execPath, [seed, ...args], { env: environment });
      expect(stdout.trim().length > 0).toBe(args.length > 0);
    }
  });
  expect(await ask(server.adminUrl(nameDatabase('core')), 'select key_name from api_keys')).toEqual([
    { key_name: 'first' },
  ]);
});
