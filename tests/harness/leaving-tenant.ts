import { expect } from 'vitest';
import { tenantTables } from '../../functions/tenant-tables.ts';
import { CONTAINERS } from '../../shared/platform/blob/blob-store.ts';
import { detectorResultKey } from '../../shared/platform/cache/keys.ts';
import type { TenantTable } from '../../shared/platform/tenant-data/tenant-table.ts';
import { until, type TestApp } from './app.ts';

// A tenant with something everywhere: rows made over the API, a row in every other table with tenants' rows, blobs, keys in Redis.

/** A person's address. It is in acts, settings and invoices of the tenant. */
export const PERSON = 'ada.lovelace@leaver.example';
/** What the tenant had sealed. */
export const SECRET = 'what only the tenant may read';

interface Column {
  readonly name: string;
  readonly type: string;
  readonly allowed: string | null;
}

/** Columns that need a value, with the first one that a check allows. */
async function columnsOf(sql: TestApp['admin']['core'], table: string): Promise<Column[]> {
  return sql.unsafe<Column[]>(
    `select a.attname as name, format_type(a.atttypid, null) as type,
            (select substring(pg_get_constraintdef(c.oid) from 'ARRAY\\[''([a-z_.A-Z]+)''') from pg_constraint c
              where c.conrelid = a.attrelid and c.contype = 'c' and c.conkey = array[a.attnum] limit 1) as allowed
       from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        and (a.attnotnull and d.oid is null or a.attname = 'tenant_id') order by a.attnum`,
    [table],
  );
}

/** Times rise in the order of the columns, as most checks want it. */
function valueOf({ name, type, allowed }: Column, tenantId: string, n: number, row: number): string {
  if (name === 'tenant_id') return `'${tenantId}'`;
  if (name === 'partition_day') return 'current_date';
  if (type.endsWith('[]')) return `'{}'`;
  if (name === 'role_name') return `'own_${row}'`;
  if (allowed !== null) return `'${allowed}'`;
  switch (type) {
    case 'uuid':
      return 'gen_random_uuid()';
    case 'timestamp with time zone':
      return `now() + interval '${n} seconds'`;
    case 'date':
      return 'current_date';
    case 'jsonb':
      return `jsonb_build_object('of', '${tenantId}', 'by', '${PERSON}')`;
    case 'bytea':
      return `'\\x0${row}'`;
    case 'boolean':
      return 'false';
    case 'text':
      return name === 'currency' ? `'USD'` : `'${name}-${tenantId}-${row}'`;
    default:
      return '1';
  }
}

/** Values that a check wants, or that a person would have given. */
const ALSO: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'core.audit_logs': {
    user_id: `'${PERSON}'`,
    actor: `'user:${PERSON}'`,
    canonical: `convert_to('{"actor":"user:${PERSON}","user_id":"${PERSON}","resource_id":null,"resource_type":"mapping","details":{},"user_agent":null}', 'UTF8')`,
  },
  'core.ops.webhook_deliveries': { status: `'failed'` },
  'billing.billing_invoices': { user_id: `'${PERSON}'`, hosted_invoice_url: `'https://stripe.example/ada'` },
  'billing.billing_payments': { user_id: `'${PERSON}'`, card_last_four: `'4242'` },
};

/** Rows of a table that has none of the tenant's yet. */
const ROWS_EACH = 3;

async function fillTable(app: TestApp, { database, table }: TenantTable, tenantId: string): Promise<void> {
  const sql = app.admin[database];
  const [there] = await sql.unsafe(`select from ${table} where tenant_id = $1 limit 1`, [tenantId]);
  if (there !== undefined || /^ops\.(erasure|tenant_export)/.test(table)) return;
  const columns = await columnsOf(sql, table);
  const keys = columns.length === 1 ? 1 : ROWS_EACH;
  for (let row = 1; row <= keys; row++) {
    const values = new Map(columns.map((column, n) => [column.name, valueOf(column, tenantId, n, row)]));
    for (const [name, value] of Object.entries(ALSO[`${database}.${table}`] ?? {})) values.set(name, value);
    await sql.begin(async (transaction) => {
      // Rows without what they refer to.
      await transaction`set local session_replication_role = replica`;
      await transaction.unsafe(
        `insert into ${table} (${[...values.keys()].join(', ')}) values (${[...values.values()].join(', ')}) on conflict do nothing`,
      );
    });
  }
}

/** Puts rows of a tenant into every table that can have some. */
export async function fillTables(app: TestApp, tenantId: string): Promise<void> {
  for (const table of tenantTables)
    if (table.table !== 'tenants' && table.table !== 'legal_holds') await fillTable(app, table, tenantId);
}

/** How many rows of a tenant each table has. */
export async function countRows(app: TestApp, tenantId: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { database, table } of tenantTables) {
    const [row] = await app.admin[database].unsafe(
      `select count(*)::int as rows from ${table} where tenant_id = $1`,
      [tenantId],
    );
    counts[`${database} ${table}`] = Number(row?.['rows']);
  }
  return counts;
}

/** Begins a tenant's offboarding, with its days over or not. */
export async function beginLeaving(app: TestApp, tenantId: string, isOver: boolean): Promise<void> {
  await app.admin.core`update tenants set status = 'offboarding',
    offboarding_ends_at = now() + ${isOver ? '-1 day' : '20 days'}::interval where tenant_id = ${tenantId}`;
  app.services.tenants.forget(tenantId);
}

/** A tenant that has used everything. */
export interface LeavingTenant {
  readonly tenantId: string;
  readonly ownerKey: string;
  readonly mappingId: string;
  readonly recordId: string;
}

/** Makes a tenant and lets it use the API, until all that it causes is stored. */
export async function makeLeavingTenant(app: TestApp, tenantId: string): Promise<LeavingTenant> {
  const send = async (path: string, key: string, body: unknown): Promise<Record<string, string>> => {
    const answer = await app.request('POST', `/api/v1/${path}`, {
      key,
      body,
      headers: {
        'idempotency-key': `${tenantId}-${path}`,
        ...(key === app.keys.operator ? {} : { 'user-agent': PERSON }),
      },
    });
    expect([path, Math.floor(answer.status / 100), answer.body]).toEqual([path, 2, expect.anything()]);
    return answer.body;
  };
  const made = await send('platform/tenants', app.keys.operator, {
    tenant_id: tenantId,
    name: 'Leaver of Ada',
    plan_id: 'professional',
  });
  const ownerKey = made['owner_api_key'] ?? '';
  const cost = { processing_time_ms: 1, model_used: 'm' };
  const mapping = await send('mappings', ownerKey, {
    detector: 'regex-pii',
    source_data: SECRET,
    model_version: 'v1',
    metadata: { by: PERSON },
    response: {
      taxonomy: ['PII.Identifier.SSN'],
      scores: { 'PII.Identifier.SSN': 0.9 },
      confidence: 0.9,
      ...cost,
    },
  });
  await send('orchestrations', ownerKey, {
    content: SECRET,
    content_type: 'text',
    policy_bundle: 'default',
    environment: 'prod',
    detector_results: [{ detector: 'a', status: 'success', processing_time_ms: 3, confidence: 0.9 }],
    response: { total_processing_time_ms: 4 },
  });
  await send('api-keys', ownerKey, { key_name: PERSON, permission_set: 'reader' });
  const recordId = mapping['record_id'] ?? '';
  const { core } = app.admin;
  await until(
    () => core`select from storage_records where id = ${recordId} and archived_at is not null`,
    (rows) => rows.length === 1,
  );
  await until(
    () => core`select from audit_logs where tenant_id = ${tenantId}
      and action in ('tenant.created', 'mapping.created', 'api_key.created', 'record.archived')`,
    (rows) => rows.length === 4,
  );
  await until(
    () => core`select from ops.outbox where tenant_id = ${tenantId}`,
    (rows) => rows.length === 0,
  );
  return { tenantId, ownerKey, mappingId: mapping['request_id'] ?? '', recordId };
}

/** The names of a tenant's blobs, in every container. */
export async function blobsOf(app: TestApp, tenantId: string): Promise<string[]> {
  const names: string[] = [];
  for (const container of Object.values(CONTAINERS))
    for await (const page of app.services.blobs.list(container, ''))
      names.push(
        ...page.filter((name) => name.includes(`/${tenantId}/`)).map((name) => `${container}/${name}`),
      );
  return names.sort();
}

/** Makes a tenant without the API: rows everywhere, a data key, blobs, keys in Redis. Its days are over. */
export async function makeGoneTenant(app: TestApp, tenantId: string, blobs = 6): Promise<void> {
  const { services, admin } = app;
  await admin.core`insert into tenants (tenant_id, name) values (${tenantId}, 'Gone')`;
  const keyId = await services.crossTenant.core.transaction((transaction) =>
    services.dataKeys.create(transaction, tenantId),
  );
  await admin.core`update tenants set data_key_id = ${keyId} where tenant_id = ${tenantId}`;
  await fillTables(app, tenantId);
  for (let n = 0; n < blobs; n++)
    await services.blobs.create(
      CONTAINERS.records,
      `mappings/${tenantId}/2026/01/01/${n}.json`,
      Buffer.from(tenantId),
      {},
    );
  await services.blobs.create(
    CONTAINERS.auditLogs,
    `audit/${tenantId}/2026/01/01/a.json`,
    Buffer.from('{}'),
    {},
  );
  await services.cache.write(detectorResultKey(tenantId, 'x'), 1, 600);
  await beginLeaving(app, tenantId, true);
}
