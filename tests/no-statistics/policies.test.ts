import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { expiringTables } from '../../functions/expiring-tables.ts';
import { applyChangedPolicies } from '../../shared/domains/retention/apply-policies.ts';
import type { DataType } from '../../shared/domains/retention/expiry.ts';
import { legalHoldsOver } from '../../shared/domains/retention/legal-holds.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill, pagesOfAnywhere } from './fill.ts';
import { BATCH, ids, sources } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { core } = app.admin;

beforeAll(
  () =>
    fill(app.admin, [
      'storage_records',
      'blobs',
      'mapper_requests',
      'mapper_responses',
      'orchestration_requests',
      'analysis_requests',
      'analysis_metrics',
    ]),
  300_000,
);

describe('the check of a legal hold’s ids', () => {
  interface Scope {
    readonly data_types?: DataType[];
    readonly created_from?: string;
  }

  async function check(recordIds: readonly string[], scope: Scope = {}) {
    const { database, measured } = measuring(app.services.crossTenant.core);
    const faults = await database.transaction((transaction) =>
      Promise.resolve(
        legalHoldsOver(expiringTables).check?.(
          { name: 'n', reason: 'r', scope: { ...scope, record_ids: [...recordIds] } },
          { call: { tenant: { tenantId: 'globex' } } as never, transaction },
        ),
      ),
    );
    return { faults, measured };
  }

  it.each<{ name: string; scope: Scope }>([
    { name: 'of any data type', scope: {} },
    { name: 'of records', scope: { data_types: ['storage_records'] } },
    { name: 'of mappings', scope: { data_types: ['mappings'] } },
    { name: 'of orchestrations', scope: { data_types: ['orchestrations'] } },
    { name: 'of analyses', scope: { data_types: ['analyses'] } },
    { name: 'of metrics', scope: { data_types: ['analysis_metrics'] } },
    { name: 'of rows since a time', scope: { created_from: '2020-01-01T00:00:00Z' } },
  ])('reads only the named rows: $name', async ({ scope }) => {
    const { faults, measured } = await check(ids, scope);
    expect(faults).toEqual([]);
    expectReads(measured, { rows: BATCH, pages: 24 });
  });

  it.each([
    ['mappings', sources.slice(0, 8), 0],
    ['no item', Array.from({ length: 8 }, () => randomUUID()), 8],
  ])('reads a few pages of each partition of the records for ids of %s', async (_, named, unknown) => {
    const { faults, measured } = await check(named);
    expect(faults).toHaveLength(unknown);
    expectReads(measured, { rows: named.length, pages: await pagesOfAnywhere(core) });
  });
});

describe.each(expiringTables)('applying a policy to older rows of $table', ({ dataType }) => {
  const change = (tenant: string) => core`
    insert into data_retention_policies (tenant_id, policy_id, data_type, retention_days)
    values (${tenant}, ${randomUUID()}, ${dataType}, 200)`;

  it('reads only the tenant’s rows if there are a few', async () => {
    await change('initech');
    const { database, measured } = measuring(app.services.crossTenant.core);
    const applied = await applyChangedPolicies(database, expiringTables, () => 1000);
    expect(applied).toMatchObject({ applied: 1, changed: BATCH });
    expectReads(measured, { rows: BATCH, pages: 16 });
  });

  it('reads only its batches if nearly all rows are the tenant’s', async () => {
    await change('acme');
    const { database, measured } = measuring(app.services.crossTenant.core);
    const left = [1000, 1000, 0];
    const applied = await applyChangedPolicies(database, expiringTables, () => left.shift() ?? 0);
    expect(applied).toEqual({ applied: 0, changed: 4000, finished: false });
    await core`delete from data_retention_policies where tenant_id = 'acme'`;
    expectReads(measured, { rows: 2000, pages: 22 });
  });
});
