import type { Client } from 'pg';
import { DatabaseError } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DATABASES, nameTeamRole, type DatabaseName } from '../tools/migrate/databases.ts';
import { DECISIONS } from './people/decisions.ts';
import { startTeamServer, type TeamServer } from './people/team-server.ts';

// What people may read. Each check runs on databases that the migrator made, and signs in as the team's own role.

let server: TeamServer;
beforeAll(async () => {
  server = await startTeamServer();
});
afterAll(() => server.stop());

/** PostgreSQL's code for the error of a statement; undefined when it succeeds. */
async function codeOf(client: Client, statement: string): Promise<string | undefined> {
  try {
    await client.query(statement);
    return undefined;
  } catch (error) {
    if (error instanceof DatabaseError) return error.code;
    throw error;
  }
}

const DENIED = '42501';
const READ_ONLY = '25006';

const split = (columns: string): string[] => columns.split(' ').filter((name) => name !== '');

interface Column {
  readonly relation: string;
  readonly column: string;
}

/** Every column of every relation that is not PostgreSQL's own. */
async function listColumns(client: Client): Promise<Column[]> {
  const { rows } = await client.query<Column>(
    `select format('%I.%I', n.nspname, c.relname) as relation, quote_ident(a.attname) as column
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
     order by 1, a.attnum`,
  );
  return rows;
}

const isPartition = (relation: string): boolean => /^public\.\w+_([dm][0-9]{6,8}|kept)$/.test(relation);
const viewOf = (table: string): string => `people.${table.split('.')[1] ?? ''}`;

/** The columns that a team can select when it names them, as `relation.column`. */
function expectedReadable(database: DatabaseName): string[] {
  return Object.entries(DECISIONS[database]).flatMap(([table, { shown }]) => {
    // A team may not use the schema ops, so it reaches those tables by their views only.
    const relations = table.startsWith('ops.') ? [viewOf(table)] : [table, viewOf(table)];
    return relations.flatMap((relation) => split(shown).map((column) => `${relation}.${column}`));
  });
}

describe.each(DATABASES)('the %s team', (team) => {
  test('someone has decided about every column of every table', async () => {
    const columns = await server.asAdmin(team, listColumns);
    const found = columns.filter(
      ({ relation }) =>
        /^(public|ops)\./.test(relation) && !isPartition(relation) && !relation.endsWith('_id_seq'),
    );
    const decided = Object.entries(DECISIONS[team]).flatMap(([table, { shown, hidden }]) =>
      [...split(shown), ...split(hidden)].map((column) => `${table}.${column}`),
    );
    expect(
      decided.toSorted(),
      'a column without a decision: add it to tests/people/decisions.ts, shown or hidden',
    ).toEqual(found.map(({ relation, column }) => `${relation}.${column.replaceAll('"', '')}`).toSorted());
  });

  test('reads the shown columns and no other, of any table, view, partition or sequence', async () => {
    const columns = await server.asAdmin(team, listColumns);
    const readable = await server.asTeam(team, async (client) => {
      const names: string[] = [];
      for (const { relation, column } of columns) {
        const code = await codeOf(client, `select ${column} from ${relation} limit 0`);
        if (code === undefined) names.push(`${relation}.${column.replaceAll('"', '')}`);
        else expect([relation, column, code]).toEqual([relation, column, DENIED]);
      }
      return names;
    });
    expect(readable.toSorted()).toEqual(expectedReadable(team).toSorted());
  });

  test('may select no other column even where no name leads to it', async () => {
    const granted = await server.asAdmin(team, async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `select n.nspname || '.' || c.relname || '.' || a.attname as name
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where n.nspname in ('public', 'ops') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
           and has_column_privilege($1, c.oid, a.attnum, 'select')`,
        [nameTeamRole(team)],
      );
      return rows.map(({ name }) => name);
    });
    const shown = Object.entries(DECISIONS[team]).flatMap(([table, decision]) =>
      split(decision.shown).map((column) => `${table}.${column}`),
    );
    expect(granted.toSorted()).toEqual(shown.toSorted());
  });

  test('reads a view of each table with a shown column, and all columns of it at once', async () => {
    const shown = Object.entries(DECISIONS[team]).filter(([, decision]) => decision.shown !== '');
    expect(shown.length).toBeGreaterThan(2);
    await server.asTeam(team, async (client) => {
      for (const [table, decision] of shown) {
        // Without a schema: the role's search_path has the views.
        const { fields } = await client.query(
          `select * from ${viewOf(table).replace('people.', '')} limit 0`,
        );
        expect(fields.map(({ name }) => name).toSorted()).toEqual(split(decision.shown).toSorted());
      }
    });
  });

  test('writes nothing, also with its own read-only setting off', async () => {
    const relations = await server.asAdmin(team, async (client) => {
      const columns = await listColumns(client);
      return [...new Map(columns.map(({ relation, column }) => [relation, column]))];
    });
    await server.asTeam(team, async (client) => {
      await client.query('set default_transaction_read_only = off');
      for (const [relation, column] of relations) {
        if (relation.endsWith('_seq')) {
          for (const statement of [`select nextval('${relation}')`, `select setval('${relation}', 1)`])
            expect([statement, await codeOf(client, statement)]).toEqual([statement, DENIED]);
          continue;
        }
        const statements = [
          `insert into ${relation} default values`,
          `update ${relation} set ${column} = default`,
          `delete from ${relation}`,
          `truncate ${relation}`,
          `lock table ${relation} in row exclusive mode`,
          `select ${column} from ${relation} for update`,
        ];
        for (const statement of statements) {
          const code = await codeOf(client, `begin; ${statement}`);
          await client.query('rollback');
          // A view cannot be truncated, and a generated column cannot be set: refused before any right is looked at.
          expect([DENIED, '42809', '428C9', '55000'], `${statement}: ${String(code)}`).toContain(code);
        }
      }
    });
  });

  test('makes no object', async () => {
    await server.asTeam(team, async (client) => {
      await client.query('set default_transaction_read_only = off');
      for (const statement of [
        'create table public.mine (id integer)',
        'create table people.mine (id integer)',
        'create temporary table mine (id integer)',
        'create view people.mine as select 1',
        'create schema mine',
        `create function people.mine() returns integer language sql as 'select 1'`,
        'create role mine',
        'create database mine',
        'create extension pg_trgm',
        'alter table public.outbox rename to mine',
        `copy (select 1) to program 'true'`,
        `copy (select 1) to '/dev/null'`,
      ])
        expect([statement, await codeOf(client, statement)]).toEqual([
          statement,
          expect.stringMatching(/^(42501|42P01|0A000)$/),
        ]);
    });
  });

  test('calls no function of ours, and none of PostgreSQL that changes the server or reads its files', async () => {
    const callable = await server.asAdmin(team, async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname not in ('pg_catalog', 'information_schema')
           and has_schema_privilege($1, n.oid, 'usage') and has_function_privilege($1, p.oid, 'execute')`,
        [nameTeamRole(team)],
      );
      return rows;
    });
    expect(callable).toEqual([]);
    await server.asTeam(team, async (client) => {
      for (const [statement, code] of [
        ['select lo_create(0)', READ_ONLY],
        [`select lo_from_bytea(0, 'x')`, READ_ONLY],
        [`notify something`, undefined], // reaches nobody: nothing of ours listens
        ['select pg_reload_conf()', DENIED],
        [`select pg_read_file('postgresql.conf')`, DENIED],
        [`select pg_ls_dir('.')`, DENIED],
        [`select * from pg_authid`, DENIED],
        [`select * from pg_user_mapping`, DENIED],
        ['select pg_switch_wal()', DENIED],
        [`select pg_create_restore_point('x')`, DENIED],
        [
          `select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() limit 1`,
          DENIED,
        ],
      ] as const)
        expect([statement, await codeOf(client, statement)]).toEqual([statement, code]);
    });
  });

  test('becomes no other role', async () => {
    await server.asTeam(team, async (client) => {
      await client.query('set default_transaction_read_only = off');
      const others = ['postgres', 'comply_owner', 'comply_app', 'comply_jobs', 'comply_readonly'];
      const teams = DATABASES.filter((other) => other !== team).map(nameTeamRole);
      for (const role of [...others, ...teams])
        for (const statement of [
          `set role ${role}`,
          `set session authorization ${role}`,
          `grant ${role} to current_user`,
        ])
          expect([statement, await codeOf(client, statement)]).toEqual([statement, DENIED]);
      for (const statement of [
        'alter role current_user superuser',
        'alter role current_user connection limit 99',
      ])
        expect([statement, await codeOf(client, statement)]).toEqual([statement, DENIED]);
    });
  });

  test.each(DATABASES.filter((other) => other !== team))(
    'does not connect to the %s database',
    async (other) => {
      await expect(server.asTeam(team, () => Promise.resolve(), other)).rejects.toMatchObject({
        code: DENIED,
      });
    },
  );

  test('sees no statement of others, and no statistics of hidden columns', async () => {
    await server.asAdmin(team, async (admin) => {
      await admin.query('select 1 as of_the_app');
      await server.asTeam(team, async (client) => {
        const { rows } = await client.query(
          `select query from pg_stat_activity where query like '%of_the_app%' and pid <> pg_backend_pid()`,
        );
        expect(rows).toEqual([]);
        const hidden = await client.query(
          `select schemaname, tablename, attname from pg_stats where schemaname in ('public', 'ops')
             and not has_column_privilege(format('%I.%I', schemaname, tablename)::regclass, attname, 'select')`,
        );
        expect(hidden.rows).toEqual([]);
      });
    });
  });

  test('has limits: read only, statements, idle sessions, connections', async () => {
    const clients = await server.asTeam(team, async (client) => {
      const shown: Record<string, string> = {};
      for (const name of [
        'default_transaction_read_only',
        'statement_timeout',
        'lock_timeout',
        'idle_in_transaction_session_timeout',
        'idle_session_timeout',
        'search_path',
      ])
        shown[name] = String(Object.values((await client.query(`show ${name}`)).rows[0])[0]);
      return shown;
    });
    expect(clients).toEqual({
      default_transaction_read_only: 'on',
      statement_timeout: '30s',
      lock_timeout: '5s',
      idle_in_transaction_session_timeout: '1min',
      idle_session_timeout: '30min',
      search_path: 'people',
    });
    const nest = (left: number): Promise<string | undefined> =>
      server.asTeam(team, () => (left === 0 ? Promise.resolve(undefined) : nest(left - 1)));
    expect(await nest(9)).toBeUndefined();
    await expect(nest(10)).rejects.toMatchObject({ code: '53300' });
  });

  test('gets its limits back with the next deployment, if it has lifted them itself', async () => {
    await server.asTeam(team, async (client) => {
      await client.query('set default_transaction_read_only = off');
      await client.query('alter role current_user set statement_timeout = 0');
    });
    expect(await server.migrate(team)).toEqual([]);
    const { rows } = await server.asTeam(team, (client) => client.query('show statement_timeout'));
    expect(rows).toEqual([{ statement_timeout: '30s' }]);
  });
});

test('nobody signs in as comply_readonly', async () => {
  for (const database of DATABASES)
    await expect(server.asRole('comply_readonly', database, () => Promise.resolve())).rejects.toMatchObject({
      code: '28000',
    });
});

test('a team may connect to its database again after a restore that lost the grants, and others still may not', async () => {
  await server.asAdmin('core', (client) =>
    client.query(
      `revoke all on database "comply-ai-core" from comply_readonly_core; grant connect on database "comply-ai-core" to comply_readonly_billing, comply_readonly, public`,
    ),
  );
  await server.migrate('core');
  await server.asTeam('core', (client) => client.query('select 1'));
  await expect(server.asTeam('billing', () => Promise.resolve(), 'core')).rejects.toMatchObject({
    code: DENIED,
  });
});

describe('the rows that people see', () => {
  beforeAll(() =>
    server.asAdmin('core', (client) =>
      client.query(
        `insert into tenants (tenant_id, name) values ('acme', 'Acme'), ('globex', 'Globex');
         insert into data_retention_policies (tenant_id, policy_id, data_type, retention_days)
         values ('acme', gen_random_uuid(), 'audit_logs', 400), ('globex', gen_random_uuid(), 'audit_logs', 400)`,
      ),
    ),
  );

  const tenants = (setting?: string): Promise<string[]> =>
    server.asTeam('core', async (client) => {
      if (setting !== undefined)
        await client.query(`select set_config('app.current_tenant_id', $1, false)`, [setting]);
      const { rows } = await client.query<{ tenant_id: string }>(
        'select tenant_id from data_retention_policies order by 1',
      );
      return rows.map(({ tenant_id: tenantId }) => tenantId);
    });

  test('are those of all tenants', async () => {
    expect(await tenants()).toEqual(['acme', 'globex']);
    expect(await tenants('')).toEqual(['acme', 'globex']);
  });

  test('are those of one, once the session has named it', async () => {
    expect(await tenants('globex')).toEqual(['globex']);
    expect(await tenants('nobody')).toEqual([]);
  });

  test.each(DATABASES)('follow a policy for reading on each table of tenants in %s', async (database) => {
    const { rows } = await server.asAdmin(database, (client) =>
      client.query(
        `select c.oid::regclass::text as name from pg_class c
         where c.relrowsecurity and exists (select from pg_attribute a cross join aclexplode(a.attacl) acl
             where a.attrelid = c.oid and acl.grantee = 'comply_readonly'::regrole)
           and not exists (select from pg_policy p where p.polrelid = c.oid and p.polcmd = 'r'
             and p.polroles = array['comply_readonly'::regrole::oid])`,
      ),
    );
    expect(rows).toEqual([]);
  });
});
