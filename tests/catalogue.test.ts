import { readFileSync } from 'node:fs';
import type { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { checkCatalogue } from '../tools/migrate/catalogue.ts';
import { withConnection } from '../tools/migrate/connect.ts';
import { DATABASES, findSnapshotFile, type DatabaseName } from '../tools/migrate/databases.ts';
import { readSchemaSnapshot } from '../tools/migrate/schema-snapshot.ts';
import { TABLES, type TableKind } from '../tools/migrate/tables.ts';
import { databaseOf } from '../shared/platform/resources/resource.ts';
import { openDatabases } from './harness/databases.ts';
import { declaredResources } from '../functions/declared-resources.ts';

const databases = await openDatabases();

/** Every table that a database must have, with the kind of its rows. */
function tablesOf(database: DatabaseName): Record<string, TableKind> {
  const declared = declaredResources
    .filter((resource) => databaseOf(resource) === database)
    .map(({ table, scope }): [string, TableKind] => [table, scope === 'platform' ? 'platform' : 'tenant']);
  return { ...TABLES[database], ...Object.fromEntries(declared) };
}

describe.each(DATABASES)('the %s database', (database) => {
  test('fits its committed snapshot (after a change of a migration: npm run migrate:snapshot)', async () => {
    const snapshot = await withConnection(databases[database].admin, readSchemaSnapshot);
    expect(snapshot).toBe(readFileSync(findSnapshotFile(database), 'utf8'));
  });

  test('isolates tenants in every table', async () => {
    const faults = await withConnection(databases[database].admin, (client) =>
      checkCatalogue(client, tablesOf(database)),
    );
    expect(faults).toEqual([]);
  });
});

/** Runs `statements`, checks the database, and rolls back. */
async function checkAfter(statements: string): Promise<string[]> {
  return withConnection(databases.core.admin, async (client: Client) => {
    await client.query('begin');
    await client.query(statements);
    return checkCatalogue(client, tablesOf('core'));
  });
}

const asOwner = 'set local role comply_owner;';
const isolateNotes = `call ops.isolate_tenant('notes')`;

describe('the catalogue check finds', () => {
  test.each([
    [
      'a tenant table without row security',
      `${asOwner} create table notes (tenant_id text not null, id uuid not null, primary key (tenant_id, id))`,
      [
        'notes is there and not declared',
        'notes has no row security',
        'notes has no policy FOR ALL with USING and WITH CHECK on app.current_tenant_id',
      ],
    ],
    [
      'row security that the owner escapes',
      'alter table api_keys no force row level security',
      ['api_keys does not force row security'],
    ],
    [
      'a table that has lost its policy',
      'drop policy tenant_isolation on api_keys',
      ['api_keys has no policy FOR ALL with USING and WITH CHECK on app.current_tenant_id'],
    ],
    [
      'a policy that allows every request',
      'create policy open on api_keys for select to comply_app using (true)',
      ['api_keys has policy open, which does not hold requests to their tenant'],
    ],
    [
      'a policy that only seems to name the tenant',
      `create policy open on api_keys for all to public
         using (tenant_id = current_setting('app.current_tenant_id', true) or true)`,
      ['api_keys has policy open, which does not hold requests to their tenant'],
    ],
    [
      'a tenant table whose keys do not begin with the tenant',
      `${asOwner} create table notes (tenant_id text not null, id uuid primary key, slug text unique); ${isolateNotes}`,
      [
        'notes is there and not declared',
        'notes has no primary key that begins with tenant_id',
        'notes has unique key notes_pkey, which does not begin with tenant_id',
        'notes has unique key notes_slug_key, which does not begin with tenant_id',
      ],
    ],
    [
      'a foreign key that forgets the tenant',
      `${asOwner} create table notes (tenant_id text not null, id uuid not null, primary key (tenant_id, id),
         foreign key (id, tenant_id) references orchestration_requests (request_id, tenant_id)); ${isolateNotes}`,
      [
        'notes is there and not declared',
        'notes has foreign key notes_id_tenant_id_fkey, which does not lead from tenant_id to tenant_id',
      ],
    ],
    [
      'a tenant id of another type',
      `${asOwner} create table notes (tenant_id varchar(50) not null primary key); ${isolateNotes}`,
      [
        'notes is there and not declared',
        'notes.tenant_id is not "text not null"',
        'notes has no policy FOR ALL with USING and WITH CHECK on app.current_tenant_id',
        'notes has policy tenant_isolation, which does not hold requests to their tenant',
      ],
    ],
    [
      'a table that the application owns',
      'alter table tenants owner to comply_app',
      ['pg_class table tenants is owned by comply_app'],
    ],
    [
      'a table in ops that requests reach without row security',
      'alter table ops.outbox disable row level security',
      ['ops.outbox holds tenant rows that requests reach without forced row security'],
    ],
    [
      'a table that is gone',
      'drop view people.legal_holds; drop table legal_holds',
      ['legal_holds is declared and not there'],
    ],
    [
      'a view that reads with its owner’s rights',
      `${asOwner} create view all_keys as select * from api_keys`,
      ['all_keys is a view without security_invoker'],
    ],
    [
      'a role that bypasses row security',
      'alter role comply_jobs bypassrls',
      ['role comply_jobs may pass row security'],
    ],
    [
      'an application that is a member of the owner',
      'grant comply_owner to comply_app',
      ['role comply_app is a member of comply_owner'],
    ],
    [
      'a whole table that people may read',
      'grant select on api_keys to comply_readonly',
      ['api_keys grants SELECT to comply_readonly'],
    ],
    [
      'a column that people may write',
      'grant update (name) on tenants to comply_readonly_core',
      ['tenants.name grants UPDATE to comply_readonly_core'],
    ],
    [
      'a policy with which people may write',
      'create policy people_write on api_keys for update to comply_readonly using (true)',
      ['api_keys has policy people_write, with which people may do more than read'],
    ],
    [
      'a team that may become another role',
      'grant comply_jobs to comply_readonly_billing',
      ['role comply_readonly_billing is a member of comply_jobs'],
    ],
    [
      'a view for people that reads with its owner’s rights',
      `${asOwner} create view people.all_keys as select * from api_keys`,
      ['people.all_keys is a view without security_invoker'],
    ],
  ])('%s', async (_what, statements, faults) => {
    const found = await checkAfter(statements);
    expect(found.toSorted()).toEqual(faults.toSorted());
  });

  test('a grant on a partition', async () => {
    const found = await checkAfter(`do $$ begin
      execute 'grant select on ' || (select min(inhrelid::regclass::text) from pg_inherits
        where inhparent = 'audit_logs'::regclass) || ' to comply_app'; end $$`);
    expect(found).toEqual([
      expect.stringMatching(/^audit_logs_m\d{6} is a partition with a grant to comply_app$/),
    ]);
  });
});
