import { describe, expect, it } from 'vitest';
import { tenantTables } from '../functions/tenant-tables.ts';
import type { Services } from '../functions/services.ts';
import { auditConsumer } from '../shared/domains/audit/consume-audit.ts';
import { usageConsumer } from '../shared/domains/billing/metering/consume-usage.ts';
import { runErasures } from '../shared/domains/erasure/erasure-job.ts';
import { hashToken } from '../shared/platform/auth/session-token.ts';
import { AUDIT_RECORDED, USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { openBatch } from '../shared/platform/consume/consume.ts';
import { receivedMessages } from '../shared/platform/consume/received-message.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { DATABASES } from '../tools/migrate/databases.ts';
import { Killed, mortalServices } from './faults/mortal-services.ts';
import { openRandom } from './faults/random.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';
import { fillTables } from './harness/leaving-tenant.ts';
import { makeTenant, openSessionOf, signIn, type TestMember } from './harness/members.ts';

// One person's erasure within a tenant: what goes, what names a pseudonym instead, what stays, and whom it does not touch.

const app = await startTestApp();
const random = openRandom();
const { core, billing, analytics } = app.admin;
const KILLS = 12;

/** Later and later, so that no run waits for requests to end. */
let minutes = 0;
const later = (): Date => new Date(Date.now() + (minutes += 3) * 60_000);
const run = (services: Services = app.services) =>
  runErasures({ services, tables: tenantTables, now: later(), hasTime: () => true });
const ask = (method: string, path: string, key: string, body?: unknown): Promise<TestAnswer> =>
  app.request(method, `/api/v1/${path}`, { key, body });
const request = (userId: string, key: string): Promise<TestAnswer> =>
  ask('POST', `users/${userId}/erasure`, key, {});
const erasureOf = (userId: string, key: string): Promise<TestAnswer> =>
  ask('GET', `users/${userId}/erasure`, key);

let made = 0;
/** A tenant with rows in every table, and an owner who stays. */
async function freshTenant(): Promise<{ id: string; key: string; owner: TestMember }> {
  made += 1;
  const id = `erasing-${made}`;
  const key = await makeTenant(app, id);
  await fillTables(app, id);
  await core`insert into ops.tenant_exports (tenant_id, export_id, status, requested_by, created_at, worked_at)
    values (${id}, gen_random_uuid(), 'completed', 'operator', now(), now())`;
  await core`insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by, released_at, released_by)
    values (${id}, gen_random_uuid(), 'over', 'audit', '{}', 'operator', now(), 'operator')`;
  // Made-up events never leave.
  for (const sql of [core, billing, analytics])
    await sql`delete from ops.outbox where tenant_id = ${id} and events::text like '%"of"%'`;
  return { id, key, owner: await signIn(app, id, { admin: null }) };
}

/** What a row must also say when these columns have a name. */
const ALSO_SET: Readonly<Record<string, string>> = {
  'alert_history.acknowledged_by': ', acknowledged_at = now()',
  'alert_history.resolved_by': `, status = 'resolved', resolved_at = now(), resolution = 'by_person'`,
};

/** Writes a person into every declared column of a tenant: as id, as actor, as address. */
async function nameEverywhere(tenantId: string, person: TestMember): Promise<void> {
  for (const { database, table, person: columns = {} } of tenantTables)
    for (const [column, what] of Object.entries(columns)) {
      if (what !== 'pseudonym' || table.startsWith('ops.erasure')) continue;
      const sql = app.admin[database];
      const [type] = await sql.unsafe<{ type: string }[]>(
        `select format_type(atttypid, null) as type from pg_attribute where attrelid = $1::regclass and attname = $2`,
        [table, column],
      );
      const name = type?.type === 'uuid' || column === 'user_id' ? person.userId : `user:${person.userId}`;
      // Not a row that goes with the person.
      const others =
        columns['user_id'] === 'delete' || columns['email'] === 'delete'
          ? `and strpos(t::text, '${person.userId}') = 0`
          : '';
      const [there] = await sql.unsafe<{ row: string; part: string }[]>(
        `select t.ctid::text as row, t.tableoid::regclass::text as part from ${table} t where tenant_id = $1 ${others} limit 1`,
        [tenantId],
      );
      expect([table, there]).toEqual([table, expect.anything()]);
      await sql.unsafe(
        `update ${String(there?.part)} set ${column} = $1 ${ALSO_SET[`${table}.${column}`] ?? ''} where ctid = $2::tid`,
        [name, String(there?.row)],
      );
    }
}

/** Every table of the tenant that has a text in it. */
async function tablesWith(tenantId: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const { database, table } of tenantTables) {
    const rows = await app.admin[database].unsafe(
      `select from ${table} t where tenant_id = $1 and strpos(t::text, $2) > 0 limit 1`,
      [tenantId, text],
    );
    if (rows.length > 0) found.push(`${database} ${table}`);
  }
  return found;
}

/** Waits until a tenant's trail has what was caused. */
async function settled(tenantId: string): Promise<void> {
  await until(
    () => core`select from ops.outbox where tenant_id = ${tenantId}`,
    (rows) => rows.length === 0,
  );
  await until(
    () => core`select from audit_logs where tenant_id = ${tenantId} and action = 'user.erasure_requested'`,
    (rows) => rows.length > 0,
  );
}

/** A report without what differs between two that did the same. */
async function plainReport(userId: string, key: string): Promise<unknown> {
  const { body } = await erasureOf(userId, key);
  expect(body).toMatchObject({ status: 'completed', scope: 'person', error: null });
  return {
    ...body.report,
    places: body.report.places.filter(({ place }: { place: string }) => place !== 'audit_logs'),
  };
}

describe('a request', () => {
  it('is refused for nobody, for another tenant’s person, and without the right', async () => {
    const one = await freshTenant();
    const other = await freshTenant();
    expect((await request(newId(), one.key)).status).toBe(404);
    expect((await request(other.owner.userId, one.key)).status).toBe(404);
    expect((await request('no-id', one.key)).status).toBe(400);
    expect((await erasureOf(one.owner.userId, one.key)).status).toBe(404);
    const viewer = await signIn(app, one.id, { viewer: null });
    expect((await request(one.owner.userId, viewer.token)).status).toBe(403);
    const manager = await app.makeKey(one.id, ['users:manage', 'users:read']);
    expect((await request(one.owner.userId, manager)).status).toBe(403);
  });

  it('is refused for the last owner, whatever races, also for oneself', async () => {
    const { id, key, owner } = await freshTenant();
    expect((await request(owner.userId, owner.token)).status).toBe(409);
    const second = await signIn(app, id, { admin: null });
    const answers = await Promise.all([request(owner.userId, key), request(second.userId, key)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409]);
    const left = await core`select user_id from user_role_assignments
      where tenant_id = ${id} and role_name = 'admin' and is_active`;
    expect(left).toHaveLength(1);
  });

  it('is taken once of two at the same time, for oneself, in upper case, and while the tenant is suspended', async () => {
    const { id, key, owner } = await freshTenant();
    const member = await signIn(app, id, { user: null });
    const twice = await Promise.all([request(member.userId, key), request(member.userId, key)]);
    expect(twice.map(({ status }) => status).sort()).toEqual([202, 409]);
    expect((await ask('GET', 'me', member.token)).status).toBe(401);
    const leaver = await signIn(app, id, { admin: null });
    const itself = await request(leaver.userId.toUpperCase(), leaver.token);
    expect(itself).toMatchObject({ status: 202, body: { scope: 'person', status: 'waiting', report: null } });
    expect(JSON.stringify(itself.body)).not.toContain(leaver.email);
    await core`update tenants set status = 'suspended' where tenant_id = ${id}`;
    app.services.tenants.forget(id);
    const late = await signIn(app, id, { user: null });
    expect((await request(late.userId, owner.token)).status).toBe(202);
    const operated = await ask(
      'GET',
      `platform/tenants/${id}/users/${late.userId}/erasure`,
      app.keys.operator,
    );
    expect(operated).toMatchObject({
      status: 200,
      body: { tenant_id: id, requested_by: `user:${owner.userId}` },
    });
    await until(
      () => core`select from ops.outbox where tenant_id = ${id}`,
      (rows) => rows.length === 0,
    );
    await run();
    await run();
    expect((await erasureOf(late.userId, key)).body).toMatchObject({ status: 'completed' });
  });

  it('keeps the person from joining meanwhile, and opens no other function of the owner', async () => {
    const { id, key } = await freshTenant();
    const elsewhere = await freshTenant();
    const member = await signIn(app, id, { user: null });
    await core`insert into user_role_assignments (tenant_id, user_id, role_name) values (${elsewhere.id}, ${member.userId}, 'user')`;
    const { token: session } = await openSessionOf(app, elsewhere.id, member.userId);
    expect((await request(member.userId, key)).status).toBe(202);
    const token = newId();
    await core`insert into ops.invitations (tenant_id, invitation_id, email, roles, token_hash, expires_at)
      values (${id}, gen_random_uuid(), ${member.email}, '{admin}', ${hashToken(token)}, now() + interval '1 day')`;
    const joining = () => ask('POST', 'invitations/accept', session, { token });
    expect(await joining()).toMatchObject({
      status: 409,
      body: { detail: 'The person is being erased in this tenant.' },
    });
    await settled(id);
    await run();
    const { core: jobs } = app.services.crossTenant;
    const [opened] =
      await core`select erasure_id from ops.erasures where tenant_id = ${id} and person_id = ${member.userId}`;
    const erasureId = String(opened?.['erasure_id']);
    await core`insert into ops.erasure_places (tenant_id, erasure_id, place)
      values (${id}, ${erasureId}, 'mapper_requests'), (${id}, ${erasureId}, 'audit_logs')`;
    for (const call of [
      `ops.erase_rows($1, $2, 'mapper_requests', 10)`,
      `ops.erase_rows($1, $2, 'audit_logs', 10)`,
      `ops.pseudonymise_entries($1, $2, '[]')`,
      `ops.erase_person($1, $2, 'mapper_requests', 'review_note', '["x"]', null, 10)`,
    ])
      await expect(jobs.query(`select ${call}`, [id, erasureId])).rejects.toMatchObject({ code: '42501' });
    await run();
    expect((await request(member.userId, key)).status).toBe(404);
    // The invitation went with the person.
    expect((await joining()).status).toBe(404);
  });
});

describe('an erasure', () => {
  it('removes the person from every declared column, and from the trail; the account goes with the last tenant', async () => {
    const { id, owner } = await freshTenant();
    const person = await signIn(app, id, { user: null, viewer: null });
    const other = await freshTenant();
    await core`insert into user_role_assignments (tenant_id, user_id, role_name) values (${other.id}, ${person.userId}, 'user')`;
    await core`insert into ops.user_identities (issuer, subject, user_id)
      values (${`https://idp.example sub ${id}`}, 'ada', ${person.userId}), (${`https://idp.example sub ${other.id}`}, 'ada', ${person.userId})`;
    await core`insert into ops.invitations (tenant_id, invitation_id, email, roles, token_hash, expires_at)
      values (${id}, gen_random_uuid(), ${person.email}, '{user}', ${Buffer.from(newId())}, now() + interval '1 day')`;
    const [apiKey] =
      await core`update api_keys set made_by_user = ${person.userId}, created_by = ${`user:${person.userId}`}
      where ctid = (select ctid from api_keys where tenant_id = ${id} and made_by_user is null limit 1) returning key_id`;
    expect(apiKey).toBeDefined();
    await nameEverywhere(id, person);
    // A client's own text, which nobody but the tenant may change.
    await core`update mapper_requests set metadata = jsonb_build_object('asked by', ${person.email}::text) where tenant_id = ${id}`;
    const amountOf = (name: string) =>
      billing`select sum(usage_amount)::text as sum from usage_records where tenant_id = ${id} and user_id ~ ${name}`;
    const amount = await amountOf(`^${person.userId}$`);
    expect(amount).not.toEqual([{ sum: null }]);

    // Acts of the person and about the person.
    await ask('GET', 'me', person.token);
    expect((await request(person.userId, owner.token)).status).toBe(202);
    await settled(id);
    await run();
    expect((await erasureOf(person.userId, owner.token)).body).toMatchObject({
      status: 'running',
      step: 'settle',
    });
    await run();
    const { body } = await erasureOf(person.userId, owner.token);
    expect(body).toMatchObject({ status: 'completed', error: null, report: { account: 'kept' } });
    expect(JSON.stringify(body)).not.toContain(person.email);
    expect(body.steps.map(({ step }: { step: string }) => step)).toEqual(
      expect.arrayContaining(['holds', 'close', 'settle', 'rows', 'audit', 'verify']),
    );
    const undone = (await tablesWith(id, person.userId)).filter(
      (table) => !/(ops\.(erasures|idempotency|outbox)|mapper_requests)$/.test(table),
    );
    expect(undone).toEqual([]);
    expect(await tablesWith(id, person.email)).toEqual(['core mapper_requests']);
    expect(body.report.found).toContainEqual(
      expect.objectContaining({ table: 'mapper_requests', why: expect.stringContaining('wrote') }),
    );
    for (const { database, table, person: columns = {} } of tenantTables)
      for (const [column, what] of Object.entries(columns))
        if (what === 'pseudonym' && !table.startsWith('ops.erasure')) {
          const place = body.report.places.find(
            (one: { database: string; place: string }) =>
              one.database === database && one.place === `${table}.${column}`,
          );
          expect([table, column, place?.done > 0]).toEqual([table, column, true]);
        }
    expect(await amountOf('^erased-')).toEqual(amount);
    const trail =
      await core`select actor, resource_id, leaf_hash = sha256('\\x00'::bytea || canonical) as fits,
      convert_from(canonical, 'UTF8') as canonical from audit_logs where tenant_id = ${id} and action = 'user.erasure_requested'`;
    expect(trail).toEqual([
      expect.objectContaining({
        actor: `user:${owner.userId}`,
        resource_id: expect.stringMatching(/^erased-/),
        fits: true,
      }),
    ]);
    expect(trail[0]?.['canonical']).not.toContain(person.userId);
    // Only this tenant's traces are gone.
    expect(await core`select issuer from ops.user_identities where user_id = ${person.userId}`).toEqual([
      { issuer: `https://idp.example sub ${other.id}` },
    ]);
    expect((await request(person.userId, other.owner.token)).status).toBe(202);
    await settled(other.id);
    await run();
    await run();
    expect((await erasureOf(person.userId, other.owner.token)).body).toMatchObject({
      status: 'completed',
      report: { account: 'deleted' },
    });
    expect(await core`select from users where user_id = ${person.userId}`).toHaveLength(0);
    expect(await core`select from ops.user_identities where user_id = ${person.userId}`).toHaveLength(0);
  });

  it('leaves a key of the person without permissions, until somebody adopts it', async () => {
    const { id, key, owner } = await freshTenant();
    const person = await signIn(app, id, { admin: null });
    const created = await ask('POST', 'api-keys', person.token, {
      key_name: 'job',
      permission_set: 'reader',
    });
    expect(created.status).toBe(201);
    const { api_key: secret, key_id: keyId } = created.body as { api_key: string; key_id: string };
    expect((await ask('GET', 'mappings', secret)).status).toBe(200);
    expect((await request(person.userId, key)).status).toBe(202);
    await settled(id);
    await run();
    await run();
    expect((await erasureOf(person.userId, key)).body).toMatchObject({
      status: 'completed',
      report: { account: 'deleted' },
    });
    const answer = () => ask('GET', 'mappings', secret);
    expect((await until(answer, ({ status }) => status !== 200, 10)).status).toBe(401);
    const [row] =
      await core`select made_by_user::text as maker, created_by from api_keys where key_id = ${keyId}`;
    expect(row).toEqual({
      maker: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8/),
      created_by: expect.stringMatching(/^user:erased-/),
    });
    expect((await ask('POST', `api-keys/${keyId}/adopt`, owner.token)).status).toBe(200);
    expect((await until(answer, ({ status }) => status === 200, 10)).status).toBe(200);
  });

  it('is stopped by any open hold, says which, and goes on when it is released', async () => {
    const { id, key } = await freshTenant();
    const person = await signIn(app, id, { user: null });
    const [hold] = await core`insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
      values (${id}, gen_random_uuid(), 'late', 'litigation', '{}', 'operator') returning hold_id`;
    expect((await request(person.userId, key)).status).toBe(202);
    await settled(id);
    await run();
    expect((await erasureOf(person.userId, key)).body).toMatchObject({
      status: 'on_hold',
      held_by: [hold?.['hold_id']],
    });
    expect(await core`select from user_role_assignments where user_id = ${person.userId}`).toHaveLength(1);
    await core`update legal_holds set released_at = now(), released_by = 'operator' where tenant_id = ${id}`;
    await run();
    await run();
    expect((await erasureOf(person.userId, key)).body).toMatchObject({ status: 'completed', held_by: [] });
  });

  it(`ends with the same report after ${KILLS} deaths at any statement, and two runs at once (seed ${random.seed})`, async () => {
    const scene = async () => {
      const { id, owner } = await freshTenant();
      const person = await signIn(app, id, { user: null });
      await nameEverywhere(id, person);
      expect((await request(person.userId, owner.token)).status).toBe(202);
      await settled(id);
      return { id, key: owner.token, person };
    };
    const calm = await scene();
    await run();
    await run();
    const undisturbed = await plainReport(calm.person.userId, calm.key);
    const killed = await scene();
    for (let kill = 0; kill < KILLS; kill++)
      await run(
        mortalServices(app.services, { left: random.between(3, 60), before: random.next() < 0.5 }),
      ).catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error;
      });
    await run();
    await run();
    expect(await plainReport(killed.person.userId, killed.key)).toEqual(undisturbed);
    const raced = await scene();
    await run();
    await Promise.allSettled([run(), run()]);
    await run();
    expect(await plainReport(raced.person.userId, raced.key)).toEqual(undisturbed);
  });
});

describe('a late message', () => {
  const DAY = 86_400_000;
  /** Consumes events that name a person, as those do that were on their way. */
  async function arrive(tenantId: string, userId: string): Promise<void> {
    const event = (type: string, data: Readonly<Record<string, unknown>>) => ({
      specversion: '1.0',
      id: newId(),
      source: '/late',
      type,
      time: new Date().toISOString(),
      data: { tenant_id: tenantId, user_id: userId, ...data },
    });
    const usage = event(USAGE_RECORDED, { usage_type: 'late', usage_amount: 1 });
    const act = event(AUDIT_RECORDED, {
      actor: `user:${userId}`,
      action: 'thing.late',
      resource_type: 'thing',
    });
    await openBatch(app.services, 'usage-events', [usageConsumer], receivedMessages([usage], {})).consume();
    await openBatch(app.services, 'audit-events', [auditConsumer], receivedMessages([act], {})).consume();
  }
  const namesIn = async (tenantId: string, userId: string) =>
    (await tablesWith(tenantId, userId)).filter(
      (table) => !/ops\.(erasures|idempotency|outbox)$/.test(table),
    );
  /** An erased person, and the moment of some days after it. */
  async function erased(more: (person: TestMember) => Promise<unknown> = () => Promise.resolve()) {
    const { id, key } = await freshTenant();
    const person = await signIn(app, id, { user: null });
    await more(person);
    expect((await request(person.userId, key)).status).toBe(202);
    await settled(id);
    await run();
    await run();
    const { body } = await erasureOf(person.userId, key);
    expect(body).toMatchObject({ status: 'completed' });
    // Others' late passes are not the matter here.
    await core`update ops.erasures set watch_ended = true where scope = 'person' and tenant_id <> ${id}`;
    const passAt = (days: number, services: Services = app.services) =>
      runErasures({
        services,
        tables: tenantTables,
        now: new Date(new Date(body.finished_at).getTime() + days * DAY),
        hasTime: () => true,
      });
    const watched = async () =>
      (await core`select watch_ended, pseudonym_key from ops.erasures where tenant_id = ${id}`)[0];
    return { id, key, userId: person.userId, passAt, watched };
  }

  it('is found for 15 days after the erasure, killed anywhere, not under a hold, and the person gets a fresh pseudonym', async () => {
    const { id, key, userId, passAt, watched } = await erased();
    await arrive(id, userId);
    const late = ['core audit_logs', 'billing usage_records'];
    expect(await namesIn(id, userId)).toEqual(expect.arrayContaining(late));
    await core`insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
      values (${id}, gen_random_uuid(), 'late', 'litigation', '{}', 'operator')`;
    await passAt(1);
    expect(await namesIn(id, userId)).toEqual(expect.arrayContaining(late));
    await core`update legal_holds set released_at = now(), released_by = 'operator' where tenant_id = ${id}`;
    // Not yet, and then again and again until it is through.
    await passAt(0.9);
    expect(await namesIn(id, userId)).toEqual(expect.arrayContaining(late));
    for (const left of [40, 60, 50])
      await expect(passAt(1, mortalServices(app.services, { left, before: false }))).rejects.toBeInstanceOf(
        Killed,
      );
    await passAt(1);
    expect(await namesIn(id, userId)).toEqual([]);
    const [entry] = await core`select actor, user_id, leaf_hash = sha256('\\x00'::bytea || canonical) as fits
      from audit_logs where tenant_id = ${id} and action = 'thing.late'`;
    expect(entry).toEqual({
      actor: expect.stringMatching(/^user:erased-/),
      user_id: String(entry?.['actor']).slice('user:'.length),
      fits: true,
    });
    const used =
      await billing`select user_id from usage_records where tenant_id = ${id} and usage_type = 'late'`;
    expect(used).toEqual([{ user_id: expect.stringMatching(/^erased-/) }]);
    const { body } = await erasureOf(userId, key);
    expect(body.report).toMatchObject({ account: 'deleted' });
    expect(body.report.places).toContainEqual({
      database: 'billing',
      place: 'usage_records.user_id',
      done: 1,
    });

    await arrive(id, userId);
    await passAt(1.5);
    expect(await namesIn(id, userId)).toEqual(expect.arrayContaining(late));
    expect(await watched()).toEqual({ watch_ended: false, pseudonym_key: null });
    await passAt(15);
    expect(await namesIn(id, userId)).toEqual([]);
    expect(await watched()).toEqual({ watch_ended: true, pseudonym_key: null });
    await arrive(id, userId);
    await passAt(30);
    expect(await namesIn(id, userId)).toEqual(expect.arrayContaining(late));
    const [ended] = await core`select erasure_id from ops.erasures where tenant_id = ${id}`;
    await expect(
      app.services.crossTenant.core.query(
        `select ops.erase_person_page($1, $2, 'mapper_requests', 'reviewed_by', '["x"]', null, 10)`,
        [id, String(ended?.['erasure_id'])],
      ),
    ).rejects.toMatchObject({ code: '42501' });
  });

  it('is left alone when the person has joined the tenant again: then it is no trace of before', async () => {
    const elsewhere = await freshTenant();
    const { id, userId, passAt, watched } = await erased(
      (person) =>
        core`insert into user_role_assignments (tenant_id, user_id, role_name) values (${elsewhere.id}, ${person.userId}, 'user')`,
    );
    await core`insert into user_role_assignments (tenant_id, user_id, role_name) values (${id}, ${userId}, 'user')`;
    await arrive(id, userId);
    const [erasure] = await core`select erasure_id from ops.erasures where tenant_id = ${id}`;
    await expect(
      app.services.crossTenant.core.query(
        `select ops.erase_person_page($1, $2, 'user_role_assignments', 'user_id', $3, null, 10)`,
        [id, String(erasure?.['erasure_id']), [userId]],
      ),
    ).rejects.toMatchObject({ code: '42501' });
    await passAt(1);
    expect(await namesIn(id, userId)).toEqual(
      expect.arrayContaining(['core user_role_assignments', 'core audit_logs', 'billing usage_records']),
    );
    expect(await watched()).toMatchObject({ watch_ended: true });
  });
});

describe('the columns', () => {
  /** Columns that sound like a person and name none, with the reason. */
  const NOBODY: Readonly<Record<string, string>> = {
    'api_keys.replaced_by': 'a key',
    'ops.erasures.held_by': 'legal holds',
    'ops.webhook_endpoints.managed_by': 'a setting',
    'stripe_events.found_by': 'a way',
    'tenants.offboarding_began_by': 'the tenant or an operator, in general',
    'user_sessions.user_agent': 'rows of the person go; others’ agents name nobody',
  };

  it('that name a person are all decided', async () => {
    const undecided: string[] = [];
    for (const database of DATABASES) {
      const rows = await app.admin[database]<{ table: string; column: string }[]>`
        select case when n.nspname = 'public' then c.relname else format('%s.%s', n.nspname, c.relname) end as "table",
               a.attname as "column"
          from pg_class c join pg_namespace n on n.oid = c.relnamespace
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where n.nspname in ('public', 'ops') and c.relkind in ('r', 'p') and not c.relispartition
           and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id' and not t.attisdropped)
           and a.attname ~ '(^|_)(user|person|actor|email|owner|member|assignee)(_|$)|_by$|assigned_to'`;
      for (const { table, column } of rows) {
        const declared =
          tenantTables.find((one) => one.database === database && one.table === table)?.person ?? {};
        if (!(column in declared) && !(`${table}.${column}` in NOBODY))
          undecided.push(`${database} ${table}.${column}`);
      }
    }
    expect(undecided).toEqual([]);
  });

  it('of the declarations exist, and those that must go are found through their tenant', async () => {
    for (const { database, table, person: columns = {} } of tenantTables)
      for (const column of Object.keys(columns)) {
        const sql = { core, billing, analytics }[database];
        const rows =
          await sql`select from pg_attribute where attrelid = ${table}::regclass and attname = ${column}`;
        expect([table, column, rows.length]).toEqual([table, column, 1]);
      }
  });
});
