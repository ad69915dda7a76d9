import { chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ServiceBusClient } from '@azure/service-bus';
import { BlobServiceClient } from '@azure/storage-blob';
import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startBroker } from '../dev/broker/broker.ts';
import { startStack, type Stack } from '../dev/stack/start-stack.ts';
import { findStartPort } from './harness/npm-start.ts';
import { askForPart } from './harness/ask.ts';
import { makeAuthority } from './harness/certificates.ts';
import { QUEUES } from '../shared/platform/bus/queues.ts';
import { withConnection } from '../tools/migrate/connect.ts';
import { CHECKS } from '../tools/doctor/checks.ts';
import { examine } from '../tools/doctor/examine.ts';
import { readGiven } from '../tools/doctor/given-settings.ts';
import { Patient } from '../tools/doctor/patient.ts';
import {
  findingsOf,
  runDoctor,
  runDoctorHere,
  wrongOf,
  type DoctorReport,
  type DoctorRun,
} from './harness/doctor.ts';

// The doctor on a stack of this file. Each fault is made for real, and is gone after its test. Where the process is what is tested
// (what it prints and leaves out, its exit code, its end, its input), it is one. Elsewhere it runs here.

/** Longer than an examination with everything away may take. */
const LIMIT_MS = 15_000;

let stack: Stack;
let folder: string;
let secrets: string[];

/** Every secret of the stack, in each spelling. */
function secretsIn(value: unknown, name = ''): string[] {
  if (typeof value === 'string')
    return name === 'endpoint' || value.length < 8 ? [] : [value, encodeURIComponent(value)];
  return Object.entries(value ?? {}).flatMap(([key, inner]) => secretsIn(inner, key));
}

beforeAll(async () => {
  const { dir: appDir } = await askForPart('app');
  // The faults are this stack's own, so its parts are too.
  delete process.env['REDIS_URL'];
  delete process.env['STRIPE_SECRET_KEY'];
  folder = mkdtempSync(path.join(tmpdir(), 'comply-doctor-'));
  stack = await startStack({ folder, appDir, durable: false, port: await findStartPort() });
  secrets = secretsIn(JSON.parse(readFileSync(path.join(folder, 'secrets.json'), 'utf8')));
  expect(secrets.length).toBeGreaterThan(25);
});

afterAll(async () => {
  await stack.stop();
  rmSync(folder, { recursive: true, force: true });
});

function refuseSecrets({ stdout, stderr }: DoctorRun): void {
  const found = secrets.filter((secret) => stdout.includes(secret) || stderr.includes(secret));
  expect(found).toEqual([]);
}

/** Runs the doctor with the stack's file, as `--local` does in its own folder. */
async function examineStack(...args: string[]): Promise<DoctorRun> {
  const run = await runDoctor(['--settings', path.join(folder, 'stack.json'), ...args]);
  refuseSecrets(run);
  return run;
}

let files = 0;

/** Runs the doctor with changed settings of the stack and the migrator's connections, without the public side. */
async function examineWith(
  changed: Readonly<Record<string, string | undefined>> = {},
  environment: Readonly<Record<string, string>> = {},
  examineBy: typeof runDoctorHere = runDoctorHere,
): Promise<{ report: DoctorReport; run: DoctorRun }> {
  files += 1;
  const file = path.join(folder, `settings-${files}.json`);
  writeFileSync(file, JSON.stringify({ ...stack.settings, ...changed }));
  const run = await examineBy(['--settings', file, '--json'], {
    MIGRATE_CORE_URL: stack.adminUrls.core,
    MIGRATE_BILLING_URL: stack.adminUrls.billing,
    MIGRATE_ANALYTICS_URL: stack.adminUrls.analytics,
    ...environment,
  });
  refuseSecrets(run);
  return { report: JSON.parse(run.stdout), run };
}

const core = (statement: string): Promise<unknown> =>
  withConnection(stack.adminUrls.core, (client) => client.query(statement));
const billing = (statement: string): Promise<unknown> =>
  withConnection(stack.adminUrls.billing, (client) => client.query(statement));

/** Makes a fault that is undone after the test. */
async function make(fault: () => Promise<unknown>, undo: () => Promise<unknown>): Promise<void> {
  onTestFinished(async () => {
    await undo();
  });
  await fault();
}

/** Expects a run that finds exactly these checks wrong. */
function expectWrong({ report }: { report: DoctorReport }, ...names: string[]): void {
  const wrong = wrongOf(report);
  const found = JSON.stringify(
    wrong.map((name) => [name, findingsOf(report, name)]),
    null,
    1,
  );
  expect(wrong, found).toEqual(names);
}

test('a healthy stack: nothing is wrong, and the exit code is 0', async () => {
  const json = await examineStack('--json');
  const report: DoctorReport = JSON.parse(json.stdout);
  expectWrong({ report });
  expect(json.code).toBe(0);
  expect(report.checks.map(({ name }) => name)).toEqual(CHECKS.map(({ name }) => name));
  expect(new Set(CHECKS.map(({ name }) => name)).size).toBe(CHECKS.length);
  // What a laptop does not have is said, each with its reason.
  const unseen = report.checks.filter(({ result }) => result === 'not checked').map(({ name }) => name);
  expect(unseen).toEqual([
    'core-tls',
    'core-statements',
    'billing-tls',
    'billing-statements',
    'analytics-tls',
    'analytics-statements',
    'redis-tls',
    'queue-settings',
    'blob-protection',
    'api-tls',
    'api-old-tls',
    'api-plain-http',
  ]);

  const table = await examineStack();
  expect(table.code).toBe(0);
  expect(table.stderr).toBe('');
  // Not a terminal: no colours.
  expect(table.stdout).not.toContain('\u001b');
  expect(table.stdout).toMatch(/^ {2}ok {11}core-schema {4,}\d+ objects, all as this build makes them$/m);
  expect(table.stdout).toMatch(/\n\d+ not checked, \d+ ok: \d+ checks in [\d.]+ s\n$/);
});

test('it changes nothing and sends nothing', async () => {
  const rows = async (): Promise<unknown> =>
    withConnection(stack.adminUrls.core, async (client) => {
      const { rows: found } = await client.query(
        `select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables
          where relname in ('api_keys', 'tenants', 'data_keys', 'outbox', 'quarantine', 'taxonomy_labels') order by 1`,
      );
      return found;
    });
  const blobs = async (): Promise<string[]> => {
    const service = BlobServiceClient.fromConnectionString(stack.blob);
    const names: string[] = [];
    for await (const { name } of service.getContainerClient('mapper-outputs').listBlobsFlat())
      names.push(name);
    return names;
  };
  const before = [await rows(), await blobs()];
  await examineWith();
  expect([await rows(), await blobs()]).toEqual(before);
});

describe('settings', () => {
  test('broken ones are named without their values, and the rest is examined all the same', async () => {
    const secret = 'hunter2-hunter2';
    const { report, run } = await examineWith(
      {
        CORE_DATABASE_URL: `postgres://comply_app:${secret}#@db/core`,
        REDIS_URL: undefined,
        REDIS_URI: 'redis://127.0.0.1:6379',
        API_KEY_PEPPER: secret,
        DEPLOYMENT_ENVIRONMENT: 'production',
        BILLING_GRACE_DAYS: '-1',
      },
      {},
      runDoctor,
    );
    expect(run.code).toBe(1);
    expect(run.stdout).not.toContain(secret);
    const found = findingsOf(report, 'settings').map(({ detail }) => detail.split(' ')[0]);
    expect(found.toSorted()).toEqual([
      'API_KEY_PEPPER',
      'BILLING_GRACE_DAYS',
      'CORE_DATABASE_URL',
      'DEPLOYMENT_ENVIRONMENT',
    ]);
    expect(findingsOf(report, 'settings')[0]?.do).toMatch(/az functionapp config appsettings set --settings/);
    expect(findingsOf(report, 'misspelt-settings')[0]).toMatchObject({
      result: 'warning',
      do: 'rename it to REDIS_URL, or remove it',
    });
    expect(findingsOf(report, 'risky-settings')[0]).toMatchObject({
      result: 'not checked',
      detail: 'DEPLOYMENT_ENVIRONMENT is not valid',
    });
    // The database's other role can still be asked.
    expect(findingsOf(report, 'core-schema')[0]?.result).toBe('ok');
    expect(findingsOf(report, 'core-roles')[0]).toMatchObject({
      result: 'not checked',
      detail: 'CORE_DATABASE_URL is broken, see settings',
    });
    expect(findingsOf(report, 'queues')[0]?.result).toBe('ok');
  });

  test('a missing one is named', async () => {
    const { report } = await examineWith({ SERVICE_BUS_CONNECTION: undefined });
    expect(findingsOf(report, 'settings')).toEqual([
      {
        result: 'problem',
        detail: expect.stringContaining('set exactly one of SERVICE_BUS_CONNECTION'),
        do: expect.stringContaining('SERVICE_BUS_CONNECTION'),
      },
    ]);
    expect(findingsOf(report, 'queues')[0]?.result).toBe('not checked');
  });

  test('of a Function App: Key Vault references are said, and the environment can resolve them', async () => {
    const list = Object.entries({
      ...stack.settings,
      CORE_DATABASE_URL:
        '@Microsoft.KeyVault(SecretUri=https://vault-1.vault.azure.net/secrets/core-url/0123456789)',
      STRIPE_SECRET_KEY: '@Microsoft.KeyVault(VaultName=vault-1;SecretName=stripe)',
    }).map(([name, value]) => ({ name, value, slotSetting: false }));
    const args = ['--settings', '-', '--json'];
    const blind = await runDoctor(args, {}, JSON.stringify(list));
    const report: DoctorReport = JSON.parse(blind.stdout);
    expectWrong({ report });
    expect(findingsOf(report, 'key-vault-references')).toEqual([
      {
        result: 'not checked',
        detail: 'CORE_DATABASE_URL is a Key Vault reference: only the Function App resolves it',
        do: 'to check it too: export CORE_DATABASE_URL="$(az keyvault secret show --vault-name vault-1 --name core-url --query value -o tsv)"',
      },
      expect.objectContaining({ detail: expect.stringContaining('STRIPE_SECRET_KEY') }),
    ]);
    expect(findingsOf(report, 'core-roles')[0]?.result).toBe('not checked');
    expect(findingsOf(report, 'stripe-key')[0]?.result).toBe('not checked');

    const { CORE_DATABASE_URL = '', STRIPE_SECRET_KEY = '' } = stack.settings;
    const seeing = await runDoctor(args, { CORE_DATABASE_URL, STRIPE_SECRET_KEY }, JSON.stringify(list));
    refuseSecrets(seeing);
    const seen: DoctorReport = JSON.parse(seeing.stdout);
    expect(findingsOf(seen, 'core-roles')[0]?.result).toBe('ok');
    expect(findingsOf(seen, 'stripe-key')[0]?.result).toBe('ok');
  });

  test('of a stack with an account at Stripe itself, whose key only the environment has', async () => {
    const { STRIPE_SECRET_KEY = '', STRIPE_WEBHOOK_SECRETS, ...settings } = stack.settings;
    const file = path.join(folder, 'account.json');
    writeFileSync(file, JSON.stringify({ ...stack.file, settings }));
    const args = ['--settings', file, '--json'];
    const without: DoctorReport = JSON.parse((await runDoctorHere(args)).stdout);
    expectWrong({ report: without });
    expect(findingsOf(without, 'stripe-key')[0]).toMatchObject({
      result: 'not checked',
      detail: 'STRIPE_SECRET_KEY is not set',
    });
    const run = await runDoctorHere(args, {
      STRIPE_SECRET_KEY,
      STRIPE_WEBHOOK_SECRETS: STRIPE_WEBHOOK_SECRETS ?? '',
    });
    refuseSecrets(run);
    expect(findingsOf(JSON.parse(run.stdout), 'stripe-key')[0]?.result).toBe('ok');
  });

  test('of the environment', async () => {
    const run = await runDoctorHere(['--json'], stack.settings);
    refuseSecrets(run);
    const report: DoctorReport = JSON.parse(run.stdout);
    expect(report.subject).toBe('the settings of the environment');
    expectWrong({ report });
    expect(findingsOf(report, 'core-migrations')[0]).toMatchObject({
      result: 'not checked',
      detail: 'MIGRATE_CORE_URL is not set',
    });
  });

  test.each([
    [['--nonsense'], /Unknown option/, runDoctor],
    [['--url', 'db.example.com'], /--url needs https/, runDoctorHere],
    [['--instances', '0'], /--instances needs a number/, runDoctorHere],
    [['--local', '--settings', 'x'], /exclude each other/, runDoctorHere],
    [['--settings', '/does/not/exist'], /cannot be read/, runDoctor],
    [['--settings', path.join(import.meta.dirname, 'doctor.test.ts')], /is not JSON/, runDoctorHere],
    [['--settings', path.join(import.meta.dirname, '../package.json')], /has no settings/, runDoctorHere],
  ])('%s cannot run: exit code 2', async (args, reason, examineBy) => {
    const run = await examineBy(args);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(reason);
    expect(run.stdout).toBe('');
  });
});

describe('databases', () => {
  test('a wrong password', async () => {
    const url = new URL(stack.settings['BILLING_DATABASE_URL'] ?? '');
    url.password = 'wrong-password';
    const found = await examineWith({ BILLING_DATABASE_URL: url.href });
    expectWrong(found, 'billing-reachable');
    const [finding] = findingsOf(found.report, 'billing-reachable');
    expect(finding).toMatchObject({
      result: 'problem',
      detail: expect.stringMatching(/refuses comply_app: password authentication failed .*28P01/),
      do: expect.stringMatching(/correct the password in BILLING_DATABASE_URL/),
    });
    expect(found.run.stdout).not.toContain('wrong-password');
    expect(found.run.code).toBe(1);
  });

  test('a database that is not there', async () => {
    const url = (stack.settings['ANALYTICS_DATABASE_URL'] ?? '').replace(/[^/]+$/, 'nowhere');
    const found = await examineWith({ ANALYTICS_DATABASE_URL: url });
    expectWrong(found, 'risky-settings', 'analytics-reachable');
    expect(findingsOf(found.report, 'analytics-reachable')[0]?.do).toMatch(/npm run migrate/);
    expect(findingsOf(found.report, 'risky-settings')[0]?.detail).toBe(
      'ANALYTICS_DATABASE_URL and ANALYTICS_CROSS_TENANT_DATABASE_URL lead to different databases',
    );
  });

  test('a role that is another one', async () => {
    const { CORE_DATABASE_URL, CORE_CROSS_TENANT_DATABASE_URL } = stack.settings;
    const found = await examineWith({
      CORE_DATABASE_URL: CORE_CROSS_TENANT_DATABASE_URL,
      CORE_CROSS_TENANT_DATABASE_URL: CORE_DATABASE_URL,
    });
    expect(findingsOf(found.report, 'core-roles')).toEqual([
      expect.objectContaining({ detail: 'CORE_DATABASE_URL connects as comply_jobs instead of comply_app' }),
      expect.objectContaining({
        detail: 'CORE_CROSS_TENANT_DATABASE_URL connects as comply_app instead of comply_jobs',
      }),
    ]);
  });

  test('a role that passes row security', async () => {
    await make(
      () => core('alter role comply_app bypassrls'),
      () => core('alter role comply_app nobypassrls'),
    );
    const found = await examineWith();
    expectWrong(
      found,
      ...['core', 'billing', 'analytics'].flatMap((name) => [`${name}-roles`, `${name}-isolation`]),
    );
    expect(findingsOf(found.report, 'core-roles')).toEqual([
      {
        result: 'problem',
        detail: 'comply_app has BYPASSRLS: it sees every tenant',
        do: 'alter role comply_app nobypassrls',
      },
    ]);
  });

  test('a role that owns a table, and is a member of another role', async () => {
    await make(
      () =>
        core(
          'create table strange (); alter table strange owner to comply_jobs; grant comply_owner to comply_app',
        ),
      () => core('drop table strange; revoke comply_owner from comply_app'),
    );
    const { report } = await examineWith();
    expect(findingsOf(report, 'core-roles')).toEqual([
      expect.objectContaining({ do: 'revoke comply_owner from comply_app' }),
      expect.objectContaining({
        detail: expect.stringMatching(/comply_jobs owns .*table strange/),
        do: 'reassign owned by comply_jobs to comply_owner',
      }),
    ]);
  });

  test('a table without forced row security', async () => {
    await make(
      () => core('alter table api_keys no force row level security'),
      () => core('alter table api_keys force row level security'),
    );
    const found = await examineWith();
    expectWrong(found, 'core-isolation', 'core-schema');
    expect(findingsOf(found.report, 'core-isolation')).toEqual([
      {
        result: 'problem',
        detail: 'api_keys does not force row security',
        do: 'alter table api_keys force row level security',
      },
    ]);
  });

  test('a grant that no migration made, an index that is gone, a table that is new', async () => {
    await make(
      () =>
        billing(
          `grant delete on usage_records to comply_app; drop index stripe_events_due; create table strange (id int)`,
        ),
      () =>
        billing(
          `revoke delete on usage_records from comply_app; drop table strange;
           set role comply_owner; create index stripe_events_due on stripe_events (next_attempt_at) where status = 'received'`,
        ),
    );
    const found = await examineWith();
    expectWrong(found, 'billing-isolation', 'billing-schema');
    expect(findingsOf(found.report, 'billing-schema')).toEqual([
      expect.objectContaining({
        result: 'problem',
        detail: expect.stringMatching(/relation public.usage_records: .*has grant .*DELETE.* to comply_app/),
      }),
      expect.objectContaining({
        result: 'problem',
        detail: "not as this build's migrations make it: relation public.stripe_events",
      }),
      expect.objectContaining({
        result: 'warning',
        detail: 'unknown to this build: relation public.strange',
      }),
    ]);
  });

  test.each([
    [
      'pending',
      `delete from ops.migration_checksums where name = (select max(name) from ops.migrations);
       delete from ops.migrations where name = (select max(name) from ops.migrations)`,
      /^1 migration not applied: \d{4}_\w+$/,
      /^npm run migrate$/,
    ],
    [
      'changed after it was applied',
      `update ops.migration_checksums set sha256 = repeat('0', 64) where name like '0003%'`,
      /0003_\w+ was changed after it was applied/,
      /git log -- migrations\/core/,
    ],
    [
      'of a newer build',
      `insert into ops.migrations (name, run_on) values ('9999_later', now())`,
      /9999_later, which this build does not know/,
      /^deploy the build of that migration/,
    ],
  ])('a migration that is %s', async (_, fault, detail, remedy) => {
    await make(
      async () => {
        await core('create table ops.kept_list as select * from ops.migrations');
        await core('create table ops.kept_sums as select * from ops.migration_checksums');
        await core(fault);
      },
      async () => {
        await core('delete from ops.migrations; insert into ops.migrations select * from ops.kept_list');
        await core(
          'delete from ops.migration_checksums; insert into ops.migration_checksums select * from ops.kept_sums',
        );
        await core('drop table ops.kept_list, ops.kept_sums');
      },
    );
    const { report, run } = await examineWith();
    expect(findingsOf(report, 'core-migrations'), run.stdout).toEqual([
      { result: 'problem', detail: expect.stringMatching(detail), do: expect.stringMatching(remedy) },
    ]);
    expect(run.code).toBe(1);
  });

  test('migrations of a newer build that leaves this one what it needs are well', async () => {
    await make(
      () =>
        core(
          `insert into ops.migrations (name, run_on) values ('9999_later', now());
           insert into ops.migration_checksums (name, sha256, phase) values ('9999_later', repeat('0', 64), 'expand');
           create table later (id int); alter table later owner to comply_owner`,
        ),
      () =>
        core(
          `delete from ops.migrations where name = '9999_later'; drop table later;
           delete from ops.migration_checksums where name = '9999_later'`,
        ),
    );
    const found = await examineWith();
    expectWrong(found);
    expect(findingsOf(found.report, 'core-migrations')[0]).toMatchObject({
      result: 'ok',
      detail: expect.stringMatching(/, and 1 of a newer build with which this one works$/),
    });
    expect(findingsOf(found.report, 'core-schema')[0]).toMatchObject({
      result: 'not checked',
      detail: 'the schema is that of another build, see core-migrations',
    });
  });

  test('partitions that do not reach far enough', async () => {
    const { rows } = await withConnection(stack.adminUrls.core, (client) =>
      client.query<{ name: string }>(
        `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
          where i.inhparent = 'storage_records'::regclass order by 1 desc limit 10`,
      ),
    );
    const dated = rows.map(({ name }) => name).filter((name) => /_d\d{8}$/.test(name));
    await core(`drop table ${dated.join(', ')}`);
    const found = await examineWith();
    expectWrong(found, 'partitions');
    expect(findingsOf(found.report, 'partitions')[0]).toMatchObject({
      result: 'warning',
      detail: expect.stringMatching(/^storage_records: until 20.*, and should reach 20/),
      do: 'POST /api/v1/platform/jobs/partitions-make/runs as an operator',
    });
    // The remedy, done as it says.
    const answer = await fetch(`${stack.baseUrl}/api/v1/platform/jobs/partitions-make/runs`, {
      method: 'POST',
      headers: { 'x-api-key': stack.keys.operator, 'content-type': 'application/json' },
      body: '{}',
    });
    expect(answer.status).toBe(200);
    expect(findingsOf((await examineWith()).report, 'partitions')[0]?.result).toBe('ok');
  });

  test('over a network: encrypted, with a certificate that is checked, or not at all', async () => {
    const authority = makeAuthority('a private authority');
    const { certificate, key } = authority.certify({ name: 'server', hosts: ['db.remote.test'] });
    const dataDir = path.join(folder, 'postgres');
    const { uid, gid } = statSync(path.join(dataDir, 'PG_VERSION'));
    for (const [name, text] of [
      ['server.crt', certificate],
      ['server.key', key],
    ] as const) {
      writeFileSync(path.join(dataDir, name), text, { mode: 0o600 });
      chownSync(path.join(dataDir, name), uid, gid);
    }
    const offer = async (state: 'on' | 'off'): Promise<void> => {
      await core(`alter system set ssl = ${state}`);
      await core('select pg_reload_conf()');
      await expect
        .poll(() =>
          withConnection(
            stack.adminUrls.core,
            async (client) => (await client.query('show ssl')).rows[0].ssl,
          ),
        )
        .toBe(state);
    };
    onTestFinished(() => offer('off'));
    const remote = Object.fromEntries(
      Object.entries(stack.settings).map(([name, value]) => [
        name,
        name.endsWith('DATABASE_URL') ? value.replace('127.0.0.1', 'db.remote.test') : value,
      ]),
    );
    const NODE_OPTIONS = `--import ${new URL('harness/remote-names.ts', import.meta.url).href}`;

    expect(
      findingsOf((await examineWith(remote, { NODE_OPTIONS }, runDoctor)).report, 'core-reachable'),
    ).toEqual([
      expect.objectContaining({ result: 'problem', detail: expect.stringMatching(/no encryption$/) }),
    ]);
    await offer('on');
    const known = await examineWith(
      { ...remote, EXTRA_CA_CERTS: authority.certificate },
      { NODE_OPTIONS },
      runDoctor,
    );
    expect(findingsOf(known.report, 'core-tls')).toEqual([
      { result: 'ok', detail: 'TLSv1.3, certificate checked' },
    ]);
    const unknown = await examineWith(remote, { NODE_OPTIONS }, runDoctor);
    expect(findingsOf(unknown.report, 'core-reachable')).toEqual([
      {
        result: 'problem',
        detail: expect.stringMatching(/its certificate is not trusted: .*UNABLE_TO_VERIFY_LEAF_SIGNATURE/),
        do: expect.stringContaining('EXTRA_CA_CERTS'),
      },
    ]);
  });

  test('pools that are larger than the server', async () => {
    const { report } = await examineWith({ DATABASE_POOL_MAX: '90' });
    expect(findingsOf(report, 'core-connections')).toEqual([
      {
        result: 'problem',
        detail: expect.stringMatching(/^max_connections 200, \d+ in use: 0 instances of 290 fit$/),
        do: expect.stringContaining('lower DATABASE_POOL_MAX'),
      },
    ]);
    const run = await runDoctorHere([
      '--settings',
      path.join(folder, 'stack.json'),
      '--json',
      '--instances',
      '40',
    ]);
    refuseSecrets(run);
    expect(findingsOf(JSON.parse(run.stdout), 'core-connections')[0]).toMatchObject({
      result: 'problem',
      detail: expect.stringContaining('but there can be 40'),
    });
  });
});

describe('service bus', () => {
  test('a missing queue', async () => {
    const sas = { keyName: 'test', key: 'k'.repeat(44) };
    const broker = await startBroker({ port: 0, dataDir: null, sas, queues: QUEUES.slice(1) });
    onTestFinished(() => broker.stop());
    const { report } = await examineWith({
      SERVICE_BUS_CONNECTION: broker.connectionString,
      DEPLOYMENT_ENVIRONMENT: 'dev',
      AZURE_RESOURCE_GROUP: 'group-1',
    });
    expect(findingsOf(report, 'queues')).toEqual([
      {
        result: 'problem',
        detail: 'usage-events is missing',
        do: 'az servicebus queue create --resource-group group-1 --namespace-name 127 --name usage-events --lock-duration PT5M --max-delivery-count 10 --enable-duplicate-detection true --duplicate-detection-history-time-window PT10M',
      },
    ]);
  });

  test('a wrong key', async () => {
    const connection = (stack.settings['SERVICE_BUS_CONNECTION'] ?? '').replace(
      /SharedAccessKey=[^;]+/,
      `SharedAccessKey=${Buffer.alloc(32, 7).toString('base64')}`,
    );
    const found = await examineWith({ SERVICE_BUS_CONNECTION: connection });
    expectWrong(found, 'queues');
    expect(findingsOf(found.report, 'queues')).toHaveLength(QUEUES.length);
    expect(findingsOf(found.report, 'queues')[0]?.do).toBe(
      'correct the key in SERVICE_BUS_CONNECTION; its policy needs Send and Listen',
    );
  });

  test('dead letters', async () => {
    const client = new ServiceBusClient(stack.settings['SERVICE_BUS_CONNECTION'] ?? '');
    onTestFinished(() => client.close());
    await make(
      async () => {
        await stack.host.stop();
        await client.createSender('audit-events').sendMessages({ body: 'broken' });
        const receiver = client.createReceiver('audit-events');
        const [message] = await receiver.receiveMessages(1, { maxWaitTimeInMs: 5_000 });
        if (message !== undefined) await receiver.deadLetterMessage(message);
        await receiver.close();
      },
      async () => {
        const receiver = client.createReceiver('audit-events', { subQueueType: 'deadLetter' });
        for (const message of await receiver.receiveMessages(1, { maxWaitTimeInMs: 5_000 }))
          await receiver.completeMessage(message);
        await stack.host.start();
      },
    );
    const found = await examineWith();
    expectWrong(found, 'dead-letters');
    expect(found.run.code).toBe(0);
    expect(findingsOf(found.report, 'dead-letters')).toEqual([
      {
        result: 'warning',
        detail: 'audit-events: 1 dead letter',
        do: expect.stringContaining('resubmit them'),
      },
    ]);
  });
});

describe('blobs', () => {
  const service = (): BlobServiceClient => BlobServiceClient.fromConnectionString(stack.blob);

  test('a missing container, in Azure', async () => {
    await make(
      () => service().deleteContainer('models'),
      async () => {
        // The storage frees the name a moment later.
        await expect
          .poll(() => service().getContainerClient('models').createIfNotExists().catch(String), {
            timeout: 10_000,
          })
          .toMatchObject({ succeeded: expect.any(Boolean) });
      },
    );
    const { report } = await examineWith({ DEPLOYMENT_ENVIRONMENT: 'dev' });
    expect(findingsOf(report, 'blob-containers').filter(({ result }) => result !== 'ok')).toEqual([
      {
        result: 'problem',
        detail: 'models is missing',
        do: expect.stringMatching(/^az storage container create .*--name models/),
      },
    ]);
    expect(findingsOf(report, 'blob-protection')[0]).toMatchObject({
      result: 'warning',
      detail: expect.stringContaining('without an immutability policy'),
    });
  });

  test('a container that anyone may read', async () => {
    const container = service().getContainerClient('mapper-outputs');
    await make(
      () => container.setAccessPolicy('blob'),
      () => container.setAccessPolicy(),
    );
    const { report } = await examineWith({ DEPLOYMENT_ENVIRONMENT: 'dev' });
    expect(findingsOf(report, 'blob-protection')[0]).toMatchObject({
      result: 'problem',
      detail: 'mapper-outputs can be read by anyone',
    });
  });

  test('a wrong key', async () => {
    const connection = stack.blob.replace(
      /AccountKey=[^;]+/,
      `AccountKey=${Buffer.alloc(64, 7).toString('base64')}`,
    );
    const found = await examineWith({ BLOB_CONNECTION: connection });
    expectWrong(found, 'blobs-reachable');
    expect(findingsOf(found.report, 'blobs-reachable')[0]?.do).toBe(
      'correct the account and the key in BLOB_CONNECTION',
    );
  });
});

describe('keys', () => {
  test('a version of the key-encryption key that is gone', async () => {
    const key = Buffer.alloc(32, 7).toString('base64');
    const found = await examineWith({ KEY_ENCRYPTION_KEYS: JSON.stringify({ '2': key }) });
    expectWrong(found, 'key-versions');
    expect(findingsOf(found.report, 'key-versions')).toEqual([
      {
        result: 'problem',
        detail: expect.stringMatching(
          /^version 1 cannot be read .* the sources of 2 data keys cannot be opened$/,
        ),
        do: 'put version 1 back into KEY_ENCRYPTION_KEYS',
      },
    ]);
    expect(found.run.stdout).not.toContain(key);
  });
});

describe('redis', () => {
  test('stopped', async () => {
    await make(
      async () => stack.redis?.stop(),
      async () => stack.redis?.start(),
    );
    const found = await examineWith();
    expectWrong(found, 'redis-reachable');
    expect(findingsOf(found.report, 'redis-reachable')[0]).toMatchObject({
      result: 'problem',
      detail: expect.stringContaining('ECONNREFUSED'),
      do: 'npm start',
    });
  });

  test('a wrong password', async () => {
    const url = (stack.redisUrl ?? '').replace(/:[^:@]+@/, ':wrong-password@');
    const found = await examineWith({ REDIS_URL: url });
    expectWrong(found, 'redis-reachable');
    expect(findingsOf(found.report, 'redis-reachable')[0]?.do).toBe(
      'correct the user and the password in REDIS_URL',
    );
    expect(found.run.stdout).not.toContain('wrong-password');
  });
});

describe('stripe', () => {
  const stripe = (): Stripe => {
    const { hostname, port } = new URL(stack.stripe?.ready.url ?? '');
    return new Stripe(stack.settings['STRIPE_SECRET_KEY'] ?? '', {
      host: hostname,
      port: Number(port),
      protocol: 'http',
    });
  };
  const endpoint = async (): Promise<Stripe.WebhookEndpoint> => {
    const [found] = (await stripe().webhookEndpoints.list()).data;
    if (found === undefined) throw new Error('the stack has no endpoint');
    return found;
  };

  test('a refused key', async () => {
    const found = await examineWith({ STRIPE_SECRET_KEY: 'sk_test_not_the_one_of_this_account' });
    expectWrong(found, 'stripe-key');
    expect(findingsOf(found.report, 'stripe-key')[0]).toMatchObject({
      result: 'problem',
      detail: expect.stringMatching(/^Stripe refuses the key/),
    });
    expect(found.run.stdout).not.toContain('sk_test_not_the_one');
  });

  test('an endpoint that is disabled, or lacks types of events', async () => {
    const { id } = await endpoint();
    await make(
      () => stripe().webhookEndpoints.update(id, { disabled: true, enabled_events: ['invoice.paid'] }),
      () => stripe().webhookEndpoints.update(id, { disabled: false, enabled_events: ['*'] }),
    );
    const found = await examineWith();
    expectWrong(found, 'stripe-webhook');
    expect(findingsOf(found.report, 'stripe-webhook')).toEqual([
      expect.objectContaining({
        result: 'problem',
        detail: expect.stringContaining('is disabled'),
        do: `stripe webhook_endpoints update ${id} -d disabled=false`,
      }),
      expect.objectContaining({
        result: 'warning',
        detail: expect.stringMatching(/does not send charge\.captured, .* and \d+ more/),
      }),
    ]);
  });

  test('no endpoint that leads here', async () => {
    const found = await examineWith({ API_PUBLIC_URL: 'http://localhost:1' });
    expect(findingsOf(found.report, 'stripe-webhook')[0]).toMatchObject({
      result: 'problem',
      detail: expect.stringContaining('no endpoint leads to http://localhost:1/api/v1/webhooks/stripe'),
      do: expect.stringMatching(/^stripe webhook_endpoints create --url http:\/\/localhost:1/),
    });
  });
});

describe('seeds', () => {
  test('what is missing', async () => {
    await make(
      async () => {
        await core(`create table ops.kept_labels as select * from taxonomy_labels where label like 'PII%'`);
        await core(`delete from taxonomy_labels where label like 'PII%'`);
        await core(`update api_keys set is_active = false where tenant_id = 'platform'`);
        await billing(`update billing_plans set is_active = false where plan_type = 'free'`);
      },
      async () => {
        await core('insert into taxonomy_labels select * from ops.kept_labels; drop table ops.kept_labels');
        await core(`update api_keys set is_active = true where tenant_id = 'platform'`);
        await billing(`update billing_plans set is_active = true where plan_type = 'free'`);
      },
    );
    const { report, run } = await examineWith();
    expect(run.code).toBe(1);
    expect(findingsOf(report, 'taxonomy')[0]).toMatchObject({
      result: 'problem',
      detail: expect.stringMatching(/labels missing \(PII/),
      do: 'npm run seed',
    });
    expect(findingsOf(report, 'operator-key')[0]).toMatchObject({
      result: 'problem',
      do: 'npm run seed -- --operator-key <name>',
    });
    expect(findingsOf(report, 'plans')[0]?.result).toBe('problem');
  });
});

describe('work', () => {
  test('timers that do not run, and a run that never ended', async () => {
    await make(
      () =>
        core(
          `insert into retention_runs (run_id, job, as_of, started_at, triggered_by, status, finished_at, error) values
             (gen_random_uuid(), 'records-expire', now(), now() - interval '2 days', 'timer', 'failed', now(), 'Error 57014'),
             (gen_random_uuid(), 'blobs-tier', now(), now() - interval '3 hours', 'timer', 'running', null, null)`,
        ),
      () => core(`delete from retention_runs where job in ('records-expire', 'blobs-tier')`),
    );
    const found = await examineWith();
    expect(found.run.code).toBe(1);
    const details = findingsOf(found.report, 'jobs').map(({ detail }) => detail);
    expect(details).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^records-expire ran 48 h ago; its schedule \(0 10 0 \* \* \*\) allows 24 h$/),
        'the last run of records-expire failed: Error 57014',
        expect.stringMatching(
          /^blobs-tier has been running for 3 h, with \d+ min allowed: its process died$/,
        ),
        // The ledger is two days old, and these have no run in it.
        expect.stringMatching(/^partitions-make has never run, and its schedule/),
      ]),
    );
  });

  test('events that wait, messages in quarantine, allowances and events of Stripe that are behind', async () => {
    await make(
      async () => {
        await stack.host.stop();
        await core(`insert into ops.outbox (id, tenant_id, events, created_at) values
          (gen_random_uuid(), 'acme', '[]', now() - interval '2 hours')`);
        await core(`insert into ops.quarantine (id, queue, identity, reason, body)
          values (gen_random_uuid(), 'usage-events', 'x', 'NOT_JSON', 'x')`);
        await billing(
          `update free_tier_usage set last_reset_at = now() - interval '2 days', next_reset_at = now() - interval '1 day'`,
        );
      },
      async () => {
        await core(`delete from ops.outbox; delete from ops.quarantine`);
        await stack.host.start();
      },
    );
    const found = await examineWith();
    expectWrong(found, 'outbox', 'quarantine', 'allowances');
    expect(findingsOf(found.report, 'outbox')).toEqual([
      expect.objectContaining({
        result: 'problem',
        detail: 'core: 1 write waiting, the oldest for 120 min',
        do: expect.stringContaining('POST /api/v1/platform/jobs/outbox-relay/runs'),
      }),
    ]);
    expect(findingsOf(found.report, 'quarantine')[0]?.do).toContain(
      'GET /api/v1/platform/quarantine?status=open',
    );
    expect(findingsOf(found.report, 'allowances')[0]?.do).toContain('free-tier-reset');
  });
});

test('a clock that is wrong: every other machine says so', async () => {
  const aheadMs = 10 * 60_000;
  const patient = new Patient({
    given: readGiven(stack.settings),
    url: stack.baseUrl,
    clock: { now: () => new Date(Date.now() + aheadMs) },
  });
  onTestFinished(() => patient.close());
  const examined = await examine(
    CHECKS.filter(({ group }) => group === 'clocks'),
    patient,
  );
  for (const { check, findings } of examined)
    expect(findings, check.name).toEqual([
      {
        result: 'problem',
        detail: expect.stringMatching(
          / (599|600)\.\d s behind this machine: signatures of Stripe are refused/,
        ),
        do: expect.stringContaining('timedatectl set-ntp true'),
      },
    ]);
  expect(examined).toHaveLength(7);
});

describe('everything away', () => {
  test('servers that take connections and say nothing: it ends, and names each', async () => {
    const silent: Server = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as AddressInfo;
    const away = Object.fromEntries(
      Object.entries(stack.settings).map(([name, value]) => [
        name,
        value.replaceAll(/127\.0\.0\.1:\d+/g, `127.0.0.1:${port}`),
      ]),
    );
    const { report, run } = await examineWith(away, {}, runDoctor);
    expect(run.ms).toBeLessThan(LIMIT_MS);
    expect(run.code).toBe(1);
    for (const name of ['core-reachable', 'redis-reachable', 'queues', 'blobs-reachable', 'stripe-key'])
      expect(findingsOf(report, name)[0]?.result, name).toBe('problem');
  });

  test('a stopped stack: it ends soon, says what to do, and prints no secret', async () => {
    const copy = path.join(folder, 'copy.json');
    writeFileSync(copy, readFileSync(path.join(folder, 'stack.json')));
    await stack.stop();
    const run = await runDoctor(['--settings', copy]);
    refuseSecrets(run);
    expect(run.ms).toBeLessThan(LIMIT_MS);
    expect(run.code).toBe(1);
    for (const name of [
      'core-reachable',
      'billing-reachable',
      'analytics-reachable',
      'redis-reachable',
      'queues',
      'blobs-reachable',
      'stripe-key',
      'api-health',
    ])
      expect(run.stdout).toMatch(new RegExp(`^ {2}problem +${name} .*\\n +do: npm start$`, 'm'));
  });
});
