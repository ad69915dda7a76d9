import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres } from '../../dev/postgres/start-postgres.ts';
import type { PostgresServer } from '../../dev/postgres/start-postgres.ts';
import { withConnection } from './connect.ts';
import { checkDatabase, findPending, migrateDatabase } from './migrate-database.ts';

// Migrations of a database that is in use: which may run when, and what they do to the requests.

const folder = mkdtempSync(path.join(tmpdir(), 'comply-rollout-'));
let server: PostgresServer;
let databases = 0;
const open: pg.Client[] = [];

beforeAll(async () => {
  server = await startPostgres({
    dataDir: path.join(folder, 'postgres'),
    logFile: path.join(folder, 'postgres.log'),
    password: 'test',
    durable: false,
  });
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end().catch(() => undefined)));
});

afterAll(async () => {
  await server.stop('immediate');
  rmSync(folder, { recursive: true, force: true });
});

async function connect(url: string, name = 'test'): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: name });
  client.on('error', () => undefined);
  await client.connect();
  open.push(client);
  return client;
}

async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  return withConnection(url, async (client) => (await client.query<Record<string, unknown>>(statement)).rows);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('it did not become so within 15 s');
    await delay(20);
  }
}

type Files = Record<string, string>;

function write(files: Files): string {
  const target = mkdtempSync(path.join(folder, 'migrations-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(target, `${name}.sql`), text);
  return target;
}

const ONE: Files = { '0001_one': 'create table one (id integer primary key, old text);' };
const EXPAND: Files = { '0002_expand': '-- phase: expand\nalter table one add column new text;' };
const MIGRATE: Files = { '0003_migrate': '-- phase: migrate\nupdate one set new = old;' };
const CONTRACT: Files = {
  '0004_contract': '-- phase: contract\n-- after-release: 0.2.0\nalter table one drop column old;',
};
const LATER: Files = { '0005_later': '-- phase: expand\ncreate table two (id integer);' };
const ALL: Files = { ...ONE, ...EXPAND, ...MIGRATE, ...CONTRACT };
const BEFORE_ROLLOUT = { contract: false, release: '0.2.0' };
const AFTER_ROLLOUT = { contract: true, release: '0.2.0' };

/** A database with these files, as an earlier build has left it. */
async function migrated(files: Files): Promise<string> {
  databases += 1;
  const url = server.adminUrl(`rollout-${databases}`);
  await migrateDatabase(url, write(files), 'test');
  return url;
}

describe('what an older build needs', () => {
  test('stays before the rollout, and goes after it', async () => {
    const url = await migrated(ONE);
    const files = write(ALL);
    expect(await migrateDatabase(url, files, 'test', BEFORE_ROLLOUT)).toEqual([
      '0002_expand',
      '0003_migrate',
    ]);
    expect(await checkDatabase(url, files, 'test')).toEqual([]);
    expect((await findPending(url, files, 'test')).contract.map(({ name }) => name)).toEqual([
      '0004_contract',
    ]);
    expect(await migrateDatabase(url, files, 'test', BEFORE_ROLLOUT)).toEqual([]);
    expect(await migrateDatabase(url, files, 'test', AFTER_ROLLOUT)).toEqual(['0004_contract']);
  });

  test('is not even made in a new database', async () => {
    databases += 1;
    const url = server.adminUrl(`rollout-${databases}`);
    expect(await migrateDatabase(url, write(ALL), 'test', BEFORE_ROLLOUT)).toHaveLength(4);
  });

  test('is left out before what comes behind it, which then waits', async () => {
    const url = await migrated(ONE);
    const files = write({ ...ALL, ...LATER });
    await expect(migrateDatabase(url, files, 'test', BEFORE_ROLLOUT)).rejects.toThrow(
      /0004_contract \(contract, after release 0\.2\.0\) comes before 0005_later: run `npm run migrate -- --contract`.*applied 0002_expand, 0003_migrate/,
    );
    expect(await checkDatabase(url, files, 'test')).toEqual(['0005_later']);
    expect(await migrateDatabase(url, files, 'test', AFTER_ROLLOUT)).toEqual(['0004_contract', '0005_later']);
  });

  test.each(['comply-ai:core@0.1.9', 'comply-ai:core'])(
    'is not removed while an instance of it is connected: %s',
    async (name) => {
      const url = await migrated(ONE);
      const files = write(ALL);
      const older = await connect(url, name);
      await connect(url, 'comply-ai:core@0.2.0');
      await expect(migrateDatabase(url, files, 'test', AFTER_ROLLOUT)).rejects.toThrow(
        /0004_contract .* was not applied: an instance of an older build is connected/,
      );
      expect(await ask(url, 'select old from one')).toEqual([]);
      await older.end();
      expect(await migrateDatabase(url, files, 'test', AFTER_ROLLOUT)).toEqual(['0004_contract']);
    },
  );

  test('is not removed while one is connected to another of the three databases', async () => {
    const url = await migrated({ ...ONE, ...EXPAND, ...MIGRATE });
    const before = { ...AFTER_ROLLOUT, oldestBuild: '0.1.0' };
    await expect(migrateDatabase(url, write(ALL), 'test', before)).rejects.toThrow(
      'older build is connected',
    );
    expect(await migrateDatabase(url, write(ALL), 'test', { ...before, oldestBuild: '0.2.0' })).toEqual([
      '0004_contract',
    ]);
  });
});

describe('a rollout that is undone', () => {
  test('finds nothing to do: the older build can work with what the newer one has added', async () => {
    const url = await migrated(ONE);
    await migrateDatabase(url, write(ALL), 'test', BEFORE_ROLLOUT);
    expect(await migrateDatabase(url, write(ONE), 'test', { contract: false, release: '0.1.0' })).toEqual([]);
    expect(await checkDatabase(url, write(ONE), 'test')).toEqual([]);
  });

  test('is refused when the newer build has removed what the older one needs', async () => {
    const url = await migrated(ALL);
    await expect(
      migrateDatabase(url, write(ONE), 'test', { contract: false, release: '0.1.0' }),
    ).rejects.toThrow('0004_contract has removed what releases before 0.2.0 need, and this build is 0.1.0');
    expect(await migrateDatabase(url, write(ONE), 'test', { release: '0.2.0' })).toEqual([]);
  });
});

/** Reads and writes the table until it is stopped, and says how long the slowest took. */
function startRequests(url: string): { stop: () => Promise<number> } {
  let stopped = false;
  let slowest = 0;
  const running = withConnection(url, async (client) => {
    for (let id = 0; !stopped; id += 1) {
      const begun = performance.now();
      await client.query('insert into one (id) values ($1)', [id]);
      await client.query('select count(*) from one');
      slowest = Math.max(slowest, performance.now() - begun);
    }
  });
  return {
    async stop() {
      stopped = true;
      await running;
      return slowest;
    },
  };
}

describe('a migration of a table in use', () => {
  test('gives way while a long transaction holds the table, and finishes after it', async () => {
    const url = await migrated(ONE);
    const long = await connect(url);
    await long.query('begin; select * from one');
    const requests = startRequests(url);
    const waits: string[] = [];
    const migrating = migrateDatabase(url, write({ ...ONE, ...EXPAND }), 'test', {
      onEvent: (text) => waits.push(text),
    });
    await until(() => Promise.resolve(waits.length === 2));
    await long.query('commit');
    expect(await migrating).toEqual(['0002_expand']);
    // At most as long as one attempt waits for its lock, and a little for the machine.
    expect(await requests.stop()).toBeLessThan(1_000);
    expect(waits[0]).toBe('0002_expand waits for a lock and gives way for 1 s');
  });

  test('gives up when its patience is over, and the files before it stay', async () => {
    const url = await migrated(ONE);
    const files = write({
      ...ONE,
      '0002_other': LATER['0005_later'] ?? '',
      '0003_expand': EXPAND['0002_expand'] ?? '',
    });
    const long = await connect(url);
    await long.query('begin; select * from one');
    await expect(migrateDatabase(url, files, 'test', { patienceMs: 1_500 })).rejects.toThrow(
      '0003_expand: its locks were not granted within 2 s',
    );
    expect(await checkDatabase(url, files, 'test')).toEqual(['0003_expand']);
    // The runbook's query shows who holds the lock.
    const [query = ''] = /(?<=```sql\n)[^`]*/.exec(readFileSync('docs/runbooks/upgrade.md', 'utf8')) ?? [];
    await until(async () => (await ask(url, query)).some((row) => row['application_name'] === 'test'));
    await long.query('commit');
    expect(await migrateDatabase(url, files, 'test')).toEqual(['0003_expand']);
  });

  test('has 30 s for a statement that locks the table, and all the time for data; its locks end with its client', async () => {
    const url = await migrated({ '0001_seen': 'create table seen (file text, name text, value text);' });
    const look = (file: string): string =>
      `insert into seen select '${file}', name, setting from pg_settings where name in
         ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout', 'client_connection_check_interval');`;
    await migrateDatabase(
      url,
      write({
        '0001_seen': 'create table seen (file text, name text, value text);',
        '0002_expand': `-- phase: expand\n${look('expand')}`,
        '0003_migrate': `-- phase: migrate\n${look('migrate')}`,
        '0004_alone': `-- phase: expand\n-- no-transaction\n${look('alone')}`,
      }),
      'test',
    );
    const rows = await ask(
      url,
      "select file, string_agg(value, ' ' order by name) as values from seen group by file",
    );
    expect(Object.fromEntries(rows.map((row) => [row['file'], row['values']]))).toEqual({
      expand: '5000 60000 500 30000',
      migrate: '5000 60000 500 0',
      alone: '5000 60000 500 0',
    });
  });

  test('changes data in batches that are committed one by one', async () => {
    const url = await migrated(ONE);
    await ask(url, `insert into one select n, 'x' from generate_series(1, 25) n`);
    const batches = `-- phase: migrate
-- no-transaction
do $$ begin
  loop
    update one set old = txid_current()::text where id in (select id from one where old = 'x' limit 10);
    exit when not found;
    commit;
  end loop;
end $$;
`;
    await migrateDatabase(url, write({ ...ONE, '0002_batches': batches }), 'test');
    expect(await ask(url, 'select count(distinct old)::int as n from one')).toEqual([{ n: 3 }]);
  });

  test('that was noted only half when its process ended is run again', async () => {
    const files = {
      ...ONE,
      '0002_alone': '-- phase: expand\n-- no-transaction\ncreate table if not exists two (id integer);',
    };
    const url = await migrated(files);
    await ask(url, `delete from ops.migrations where name = '0002_alone'`);
    expect(await migrateDatabase(url, write(files), 'test')).toEqual(['0002_alone']);
  });
});

describe('an index that is built while its table is used', () => {
  const INDEX: Files = {
    '0002_index':
      '-- phase: expand\n-- no-transaction\ncreate index concurrently if not exists one_old on one (old);',
  };
  const isValid = (url: string, name: string): Promise<Record<string, unknown>[]> =>
    ask(url, `select indisvalid as valid from pg_index where indexrelid = to_regclass('${name}')`);

  test('is built again when its migrator was killed while it built', async () => {
    const url = await migrated(ONE);
    const files = write({ ...ONE, ...INDEX });
    const long = await connect(url);
    await long.query('begin isolation level repeatable read; select * from one');
    const killed = expect(migrateDatabase(url, files, 'test')).rejects.toThrow();
    const building = `from pg_stat_activity where application_name = 'comply-migrate' and wait_event_type = 'Lock'
      and query like '%create index concurrently%' and datname = current_database()`;
    await until(async () => (await isValid(url, 'one_old')).length > 0);
    await until(async () => (await ask(url, `select pg_terminate_backend(pid) ${building}`)).length > 0);
    await killed;
    await long.query('commit');
    expect(await isValid(url, 'one_old')).toEqual([{ valid: false }]);
    expect(await migrateDatabase(url, files, 'test')).toEqual(['0002_index']);
    expect(await isValid(url, 'one_old')).toEqual([{ valid: true }]);
  });

  test('and is invalid for another reason is built again by the next migrator, and a leftover is dropped', async () => {
    const url = await migrated({ ...ONE, ...INDEX });
    await ask(url, 'create index one_old_ccnew on one (old)');
    await ask(
      url,
      `update pg_index set indisvalid = false where indexrelid in ('one_old'::regclass, 'one_old_ccnew'::regclass)`,
    );
    const mended: string[] = [];
    await migrateDatabase(url, write({ ...ONE, ...INDEX }), 'test', { onEvent: (text) => mended.push(text) });
    expect(mended).toEqual([
      'one_old was left half-built, and was mended',
      'one_old_ccnew was left half-built, and was mended',
    ]);
    expect(await isValid(url, 'one_old')).toEqual([{ valid: true }]);
    expect(await isValid(url, 'one_old_ccnew')).toEqual([]);
  });
});

test('the commands of the runbook say what they have done, and what they have not', async () => {
  databases += 1;
  const urlOf = (name: string): string => server.adminUrl(`rollout-${databases}-${name}`);
  const env = {
    ...process.env,
    MIGRATE_CORE_URL: urlOf('core'),
    MIGRATE_BILLING_URL: urlOf('billing'),
    MIGRATE_ANALYTICS_URL: urlOf('analytics'),
  };
  const run = (...args: string[]): Promise<{ code: number; stdout: string }> =>
    promisify(execFile)(process.execPath, ['tools/migrate/main.ts', ...args], { env }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: unknown) => error as { code: number; stdout: string },
    );
  const done = { code: 0, stdout: 'core: up to date\nbilling: up to date\nanalytics: up to date\n' };
  expect((await run()).stdout).toMatch(
    /^core: applied 0001_foundation, .*\nbilling: applied .*\nanalytics: applied/,
  );
  expect(await run('--check')).toMatchObject(done);
  expect(await run()).toMatchObject(done);
  expect(await run('--contract')).toMatchObject(done);
  await ask(urlOf('core'), `delete from ops.migrations where id = (select max(id) from ops.migrations)`);
  expect(await run('--check')).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^core: lacks \d{4}_/),
  });
  expect(await run('--nonsense')).toMatchObject({ code: 2, stdout: '' });
});
