import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { expect, it, onTestFinished } from 'vitest';
import { findMigrationsFolder } from '../tools/migrate/databases.ts';
import { migrateDatabase } from '../tools/migrate/migrate-database.ts';
import { askForPart } from './harness/ask.ts';

// Migrates an older database with rows to this build's schema.

const core = findMigrationsFolder('core');
const { adminUrl } = await askForPart('postgres');

/** A database as it was before a migration, and a function that applies the rest. */
async function databaseBefore(migration: RegExp) {
  const folder = mkdtempSync(path.join(tmpdir(), 'comply-before-'));
  const files = readdirSync(core).sort();
  for (const name of files.slice(
    0,
    files.findIndex((file) => migration.test(file)),
  ))
    cpSync(path.join(core, name), path.join(folder, name));
  const name = `retention_${randomUUID().replaceAll('-', '')}`;
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  await migrateDatabase(url.toString(), folder, 'core');
  const admin = postgres(url.toString(), { max: 1, onnotice: () => undefined });
  onTestFinished(async () => {
    await admin.end();
    rmSync(folder, { recursive: true, force: true });
    const server = postgres(adminUrl, { max: 1 });
    await server.unsafe(`drop database ${name} with (force)`);
    await server.end();
  });
  return { admin, migrate: () => migrateDatabase(url.toString(), core, 'core') };
}

/** The tables whose row security binds the owner too. */
async function forcedOf(admin: postgres.Sql, tables: readonly string[]): Promise<unknown[]> {
  const forced = await admin`
    select relname from pg_class where relname = any(${tables}) and relforcerowsecurity order by 1`;
  return forced.map((row) => row['relname']);
}

it('corrects scopes with other spellings of ids, and adds the origins of records to old blobs', async () => {
  const { admin, migrate } = await databaseBefore(/^\d{4}_retention\.sql$/);
  const [record, mapping, orchestration, mixed, plain] = Array.from({ length: 5 }, () => randomUUID());
  await admin`insert into tenants (tenant_id, name) values ('acme', 'Acme')`;
  await admin`
    insert into mapper_requests (tenant_id, request_id, orchestration_request_id, detector, source_data, encryption_key_id,
      model_version, expires_at)
    values ('acme', ${mapping ?? ''}, ${orchestration ?? ''}, 'd', '', ${randomUUID()}, 'v1', now())`;
  await admin`
    insert into storage_records (tenant_id, id, partition_day, source_data, mapped_data, model_version, detector, source_id,
      encryption_key_id, expires_at)
    values ('acme', ${record ?? ''}, current_date, '', '{}', 'v1', 'd', ${mapping ?? ''}, ${randomUUID()}, now())`;
  for (const name of [`mappings/acme/2026/11/24/${record ?? ''}.json`, 'mappings/acme/2026/11/24/other.json'])
    await admin`
      insert into ops.blobs (tenant_id, container_name, blob_name, retention_class, access_tier, sha256, bytes, created_at,
        tier_changed_at, next_check_at, delete_after)
      values ('acme', 'mapper-outputs', ${name}, 'mapping_results', 'Hot', '', 1, now(), now(), now(), now())`;
  const scopes = [
    { record_ids: [mixed?.toUpperCase(), plain], data_types: ['mappings'] },
    { record_ids: [plain] },
    { record_ids: ['no id'] },
    {},
  ];
  for (const [n, scope] of scopes.entries())
    await admin`
      insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
      values ('acme', ${randomUUID()}, ${String(n)}, 'r', ${admin.json(scope as never)}, 'test')`;

  await migrate();

  const holds = await admin`select scope, held_ids::text from legal_holds order by name`;
  const ids = (...values: (string | undefined)[]) => `{${values.join(',')}}`;
  expect(holds.map((hold) => [hold['scope'], hold['held_ids']])).toEqual([
    [{ record_ids: [mixed, plain], data_types: ['mappings'] }, ids(mixed, plain)],
    [{ record_ids: [plain] }, ids(plain)],
    [{ record_ids: ['no id'] }, null],
    [{}, null],
  ]);
  const blobs =
    await admin`select record_id, source_id, orchestration_id from ops.blobs order by source_id nulls last`;
  expect(blobs.map((row) => ({ ...row }))).toEqual([
    { record_id: record, source_id: mapping, orchestration_id: orchestration },
    { record_id: null, source_id: null, orchestration_id: null },
  ]);
  const changed = ['blobs', 'legal_holds', 'mapper_requests', 'storage_records'];
  expect(await forcedOf(admin, changed)).toEqual(changed);
  // The partition was filled before the index was declared, so partitions-make builds the index.
  const [missing] = await admin`select ops.index_partition('storage_records') as name`;
  expect(missing?.['name']).toMatch(/^storage_records_d\d{8}$/);
});

it('deactivates policies for the audit trail, and applies policies again that may be below a framework’s minimum', async () => {
  const { admin, migrate } = await databaseBefore(/^\d{4}_stored_retention\.sql$/);
  await admin`insert into tenants (tenant_id, name) values ('plain', 'Plain'), ('framed', 'Framed')`;
  await admin`insert into tenant_configs (tenant_id, config_data) values ('plain', '{}'), ('framed', '{"frameworks": ["HIPAA"]}')`;
  const policies = [
    { tenant: 'plain', type: 'audit_logs', days: 30, framework: null, active: true },
    { tenant: 'framed', type: 'audit_logs', days: 30, framework: 'HIPAA', active: false },
    { tenant: 'plain', type: 'mappings', days: 30, framework: 'HIPAA 2013', active: true },
    { tenant: 'framed', type: 'mappings', days: 30, framework: null, active: true },
    { tenant: 'plain', type: 'analyses', days: 30, framework: null, active: true },
    { tenant: 'framed', type: 'analyses', days: 2190, framework: 'HIPAA', active: true },
  ];
  for (const { tenant, type, days, framework, active } of policies)
    await admin`
      insert into data_retention_policies (tenant_id, policy_id, data_type, retention_days, compliance_framework, is_active,
        applied_at)
      values (${tenant}, ${randomUUID()}, ${type}, ${days}, ${framework}, ${active}, now())`;

  await migrate();

  const rows = await admin`
    select tenant_id, data_type, is_active, applied_at is null or applied_at < updated_at as again, version
      from data_retention_policies order by data_type, tenant_id`;
  expect(rows.map((row) => Object.values(row))).toEqual([
    ['framed', 'analyses', true, false, 1],
    ['plain', 'analyses', true, false, 1],
    ['framed', 'audit_logs', false, false, 1],
    ['plain', 'audit_logs', false, true, 2],
    ['framed', 'mappings', true, true, 1],
    ['plain', 'mappings', true, true, 1],
  ]);
  const changed = ['data_retention_policies', 'tenant_configs'];
  expect(await forcedOf(admin, changed)).toEqual(changed);
});
