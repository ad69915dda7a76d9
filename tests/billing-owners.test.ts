import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { findExistingAnalyses } from '../shared/domains/analysis/find-existing.ts';
import { releaseAbandoned } from '../shared/domains/billing/metering/abandoned-reservations.ts';
import { findActivePlan } from '../shared/domains/billing/plans/plan.ts';
import { liveSql } from '../shared/domains/billing/subscriptions/live-states.ts';
import { openBilling } from '../shared/domains/billing/open-billing.ts';
import { findExistingMappings } from '../shared/domains/mapping/find-existing.ts';
import { findExistingOrchestrations } from '../shared/domains/orchestration/find-existing.ts';
import { recordMapping } from '../shared/domains/mapping/record-mapping.ts';
import { newMapping } from '../shared/domains/mapping/schemas.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { startTestApp, until } from './harness/app.ts';
import { makeCall } from './harness/own-call.ts';

const app = await startTestApp();
const { globex } = app.keys;
const { billing } = app.services.crossTenant;
const NOW = new Date();
const DAY_MS = 86_400_000;

describe('a new tenant’s plan', () => {
  const subscriptions = (tenant: string) =>
    app.admin
      .billing`select plan_id, status from user_subscriptions where tenant_id = ${tenant} order by created_at`;
  const give = async (tenant: string, planId: string, days = 0) => {
    const plan = await findActivePlan(billing, planId);
    if (plan === undefined) throw new Error(`no plan ${planId}`);
    return openBilling(billing, { tenant_id: tenant, plan }, new Date(NOW.getTime() + days * DAY_MS));
  };

  it('is only free allowances if it is free', async () => {
    await give('t-free', 'free');
    expect(await subscriptions('t-free')).toEqual([]);
    const [row] = await app.admin
      .billing`select count(*)::int as n from free_tier_usage where tenant_id = 't-free'`;
    expect(row?.['n']).toBeGreaterThan(3);
  });

  it('is one live subscription if it is paid, also after repetitions', async () => {
    await Promise.all([give('t-paid', 'starter'), give('t-paid', 'starter')]);
    await give('t-paid', 'starter', 1);
    expect(await subscriptions('t-paid')).toEqual([{ plan_id: 'starter', status: 'active' }]);
  });

  it('replaces what an interrupted attempt with another plan left', async () => {
    await give('t-other', 'starter');
    await give('t-other', 'professional', 1);
    expect(await subscriptions('t-other')).toEqual([
      { plan_id: 'starter', status: 'canceled' },
      { plan_id: 'professional', status: 'active' },
    ]);
  });

  it('must be active', async () => {
    expect((await findActivePlan(billing, 'starter'))?.plan_type).toBe('paid');
    expect(await findActivePlan(billing, 'no-such-plan')).toBeUndefined();
    await app.admin.billing`update billing_plans set is_active = false where plan_id = 'white_glove_basic'`;
    expect(await findActivePlan(billing, 'white_glove_basic')).toBeUndefined();
  });
});

it('the live states are those of the unique index', () => {
  const migration = readFileSync(
    path.join(import.meta.dirname, '..', 'migrations', 'billing', '0002_metering.sql'),
    'utf8',
  );
  expect(/user_subscriptions_one_live [^;]*where (status in \([^)]*\))/.exec(migration)?.[1]).toBe(liveSql());
});

describe('the sweep of abandoned reservations', () => {
  const OWNERS = [findExistingAnalyses, findExistingMappings, findExistingOrchestrations];
  const requests = {
    mappings: { detector: 'regex-pii', source_data: 's', model_version: 'v1' },
    orchestrations: { content: 'c', content_type: 'text', policy_bundle: 'default', environment: 'prod' },
    analyses: { period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' }, metrics: {} },
  };

  async function reserve(tenant: string, id: string, ageDays: number): Promise<void> {
    const at = new Date(NOW.getTime() - ageDays * DAY_MS);
    await app.admin.billing`
      insert into ops.usage_reservations (tenant_id, reservation_id, usage_type, amount, created_at)
      values (${tenant}, ${id}, 'api_calls', 1, ${at})`;
  }
  const stands = async (tenant: string, id: string): Promise<boolean> =>
    (
      await app.admin.billing`
        select from ops.usage_reservations where tenant_id = ${tenant} and reservation_id = ${id}`
    ).length > 0;
  const sweep = () => releaseAbandoned(app.services, OWNERS, NOW, () => true);

  it.each(Object.entries(requests))('asks the owner of %s whether the request exists', async (kind, body) => {
    const made = await app.request('POST', `/api/v1/${kind}`, { key: globex.writer, body });
    const id = String(made.body.request_id);
    // A request's own reservation is deleted with its usage event; an unpublished event keeps a reservation.
    await until(
      () => stands('globex', id),
      (isLeft) => !isLeft,
    );
    await until(
      () => app.admin.core`select from ops.outbox where tenant_id = 'globex'`,
      (rows) => rows.length === 0,
    );
    await reserve('globex', id, 6);
    await reserve('acme', id, 6);
    await sweep();
    // The id is another tenant's request: for acme nothing was written.
    expect([await stands('globex', id), await stands('acme', id)]).toEqual([true, false]);
    await app.admin.billing`delete from ops.usage_reservations where reservation_id = ${id}`;
    await reserve('globex', id, 8);
    await sweep();
    expect(await stands('globex', id)).toBe(false);
  });

  it('keeps a request’s reservation while its event is in the outbox, for any time', async () => {
    const call = await makeCall(app.services, { tenant: 'globex', route: 'mappings-create' });
    const publisher = { publish: () => undefined };
    const body = newMapping.parse(requests.mappings);
    const { body: made } = await recordMapping({ ...call, services: { ...app.services, publisher } }, body);
    const id = (made as { request_id: string }).request_id;
    const later = new Date(NOW.getTime() + 8 * DAY_MS);
    await releaseAbandoned(app.services, OWNERS, later, () => true);
    expect(await stands('globex', id)).toBe(true);
    await app.admin.core`delete from ops.outbox where tenant_id = 'globex'`;
    await releaseAbandoned(app.services, OWNERS, later, () => true);
    expect(await stands('globex', id)).toBe(false);
  });

  it('releases reservations without a request: at once if a request would be found, else after a day', async () => {
    const [request, young, old] = [newId(NOW), randomUUID(), randomUUID()];
    await reserve('globex', request, 0.1);
    await reserve('globex', young, 0.9);
    await reserve('globex', old, 1.1);
    await sweep();
    expect(await Promise.all([request, young, old].map((id) => stands('globex', id)))).toEqual([
      false,
      true,
      false,
    ]);
  });

  it('releases more than one page of them', async () => {
    const ids = Array.from({ length: 501 }, () => newId(NOW));
    for (const id of ids) await reserve('globex', id, 2);
    const { examined, released } = await sweep();
    expect(examined).toBeGreaterThanOrEqual(501);
    expect(released).toBe(501);
  });
});
