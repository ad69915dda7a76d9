import { describe, expect, it } from 'vitest';
import { AUDIT_RECORDED, USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { FIXTURE_TABLES, fixtureResources } from './fixture-app/resources.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';
import { readApiDocument } from './harness/api-document.ts';
import { describeResource } from './harness/describe-resource.ts';
import { operatorsPath, rowMaker } from './harness/row-maker.ts';
import { tourResources, type Send } from './harness/tour.ts';
import { collectionOf, type Pools } from './fuzz/requests.ts';
import { addRow, seedDeclared } from './fuzz/seed-rows.ts';
import { routesOf } from './oracle/routes.ts';

// Features of declarations that the app's own resources do not use yet, on tables in this test's database.
const app = await startTestApp({ app: 'fixture-app' });
await app.admin.billing.unsafe(`${FIXTURE_TABLES}
  create table outbox_copies (at serial, tenant_id text, events jsonb);
  create function copy_outbox() returns trigger language plpgsql security definer as
    'begin insert into public.outbox_copies (tenant_id, events) values (new.tenant_id, new.events); return null; end';
  create trigger copy_outbox after insert on ops.outbox for each row execute function copy_outbox()`);
const { acme, globex, operator } = app.keys;
/** The operators' path of a tenant's path. */
const within = (path: string, tenant = 'acme'): string => operatorsPath(path, tenant);

const NOBODYS = '0190a5f0-0000-7000-8000-00000000dead';
const NOTE = { content: 'seen', author_id: NOBODYS, noted_at: '2026-03-01T00:00:00.000Z' };

let made = 0;
const unique = (): string => `made-${(made += 1)}`;

const call = (
  method: string,
  path: string,
  body?: unknown,
  { key = acme.owner, headers = {} }: { key?: string; headers?: Record<string, string> } = {},
): Promise<TestAnswer> => app.request(method, path, { key, body, headers });

/** Makes a row and answers its path. */
async function make(path: string, body: object, key?: string): Promise<string> {
  const answer = await call('POST', path, body, key === undefined ? {} : { key });
  expect([answer.status, answer.status === 201 ? '' : answer.body]).toEqual([201, '']);
  return answer.headers.get('location') ?? '';
}

const makeShip = (): Promise<string> => make('/api/v1/ships', { ship_id: unique(), title: 'Fram' });
const makeVoyage = (body: object = {}): Promise<string> =>
  make('/api/v1/voyages', { title: unique(), ...body });
/** Makes a row that acme does not see, and answers the path that acme would find it under. */
async function makeHidden(path: string, body: object): Promise<string> {
  const made = await make(within(path), body, operator);
  expect(made.startsWith(within('/api/v1/'))).toBe(true);
  return made.replace(within('/api/v1/'), '/api/v1/');
}
const makeSecret = (): Promise<string> => makeHidden('/api/v1/voyages', { title: unique(), is_secret: true });
const makeLeg = (voyage: string, key?: string): Promise<string> =>
  make(`${voyage}/legs`, { harbour: 'Bergen' }, key);
const makeNote = (leg: string, body: object = {}, key?: string): Promise<string> =>
  make(`${leg}/notes`, { ...NOTE, content: unique(), ...body }, key);
/** The audit entries that changes of a row cause, each with the tenant in whose trail, and in whose outbox row, it is. */
async function trailOf(path: string): Promise<string[]> {
  const entries = await app.admin.billing<{ tenant: string; of: string; action: string }[]>`
    select c.tenant_id as tenant, e -> 'data' ->> 'tenant_id' as of, e -> 'data' ->> 'action' as action
      from outbox_copies c, jsonb_array_elements(c.events) e
     where e -> 'data' ->> 'resource_id' = ${lastOf(path)} order by c.at`;
  for (const { tenant, of } of entries) expect(of).toBe(tenant);
  return entries.map(({ tenant, action }) => `${tenant}: ${action}`);
}
const lastOf = (path: string): string => path.split('/').at(-1) ?? '';
const idsOf = (answer: TestAnswer, field: string): string[] =>
  answer.body.items.map((item: Record<string, string>) => item[field]);

for (const resource of fixtureResources) describeResource(app, resource);

describe('a resource below a parent', () => {
  it('takes the parent from the path, and lists only that parent’s rows', async () => {
    const [first, second] = [await makeVoyage(), await makeVoyage()];
    const [leg, other] = [await makeLeg(first), await makeLeg(second)];
    const read = await call('GET', leg);
    expect(read.body).toMatchObject({ voyage_id: lastOf(first), leg_id: lastOf(leg) });
    expect(idsOf(await call('GET', `${first}/legs`), 'leg_id')).toEqual([lastOf(leg)]);
    expect(idsOf(await call('GET', `${second}/legs`), 'leg_id')).toEqual([lastOf(other)]);
    const named = await call('POST', `${first}/legs`, {
      harbour: 'Oslo',
      voyage_id: lastOf(second),
    });
    expect([named.status, named.body.errors[0].pointer]).toEqual([400, '/voyage_id']);
  });

  /** All requests to legs and notes below a path with a wrong parent. */
  async function expectNothingBelow(voyage: string, leg: string, note: string, key?: string): Promise<void> {
    const sent = { ...(key === undefined ? {} : { key }), headers: { 'if-match': '*' } };
    const legPath = `${voyage}/legs/${lastOf(leg)}`;
    const notePath = `${legPath}/notes/${lastOf(note)}`;
    const answers = [
      await call('GET', legPath, undefined, sent),
      await call('PUT', legPath, { harbour: 'Taken' }, sent),
      await call('DELETE', legPath, undefined, sent),
      await call('GET', `${legPath}/notes`, undefined, sent),
      await call('POST', `${legPath}/notes`, NOTE, sent),
      await call('GET', notePath, undefined, sent),
      await call('PUT', notePath, { ...NOTE, content: 'Taken' }, sent),
      await call('DELETE', notePath, undefined, sent),
    ];
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(
      answers.map(() => [404, 'NOT_FOUND']),
    );
  }

  it('cannot be reached through another or an unknown parent, or by another tenant', async () => {
    const [voyage, other] = [await makeVoyage(), await makeVoyage()];
    const leg = await makeLeg(voyage);
    const note = await makeNote(leg);
    const before = await Promise.all([call('GET', leg), call('GET', note)]);
    await expectNothingBelow(other, leg, note);
    await expectNothingBelow(`/api/v1/voyages/${NOBODYS}`, leg, note);
    await expectNothingBelow(voyage, leg, note, globex.owner);
    for (const path of [`/api/v1/voyages/${NOBODYS}/legs`, `${voyage}/legs`]) {
      const key = path.includes(NOBODYS) ? acme.owner : globex.owner;
      const list = await call('GET', path, undefined, { key });
      const create = await call('POST', path, { harbour: 'Oslo' }, { key });
      expect([list.status, create.status, create.body.detail]).toEqual([
        404,
        404,
        'There is no such voyage.',
      ]);
    }
    const after = await Promise.all([call('GET', leg), call('GET', note)]);
    expect(after.map(({ body }) => body)).toEqual(before.map(({ body }) => body));
  });

  it('cannot be reached through a parent that the caller does not see; operators reach it', async () => {
    const voyage = await makeSecret();
    const leg = await makeHidden(`${voyage}/legs`, { harbour: 'Bergen' });
    const note = await makeHidden(`${leg}/notes`, NOTE);
    await expectNothingBelow(voyage, leg, note);
    expect((await call('GET', `${voyage}/legs`)).status).toBe(404);
    for (const path of [voyage, `${voyage}/legs`, leg, `${leg}/notes`, note])
      expect([path, (await call('GET', within(path), undefined, { key: operator })).status]).toEqual([
        path,
        200,
      ]);
  });

  it('can belong to a tenant below a row of the platform, as long as the tenant sees that row', async () => {
    const port = await make('/api/v1/ports', { port_id: unique(), title: 'Bergen' }, operator);
    const berth = await make(`${port}/berths`, { title: 'North' });
    const others = await make(`${port}/berths`, { title: 'South' }, globex.owner);
    expect((await call('GET', berth)).body).toMatchObject({ port_id: lastOf(port), title: 'North' });
    expect(idsOf(await call('GET', `${port}/berths`), 'berth_id')).toEqual([lastOf(berth)]);
    expect((await call('GET', others)).status).toBe(404);
    const absent = await call('POST', '/api/v1/ports/no-such-port/berths', { title: 'North' });
    expect([absent.status, absent.body.detail]).toEqual([404, 'There is no such port.']);
    const closed = { title: 'Bergen', is_published: false };
    await call('PUT', port, closed, { key: operator, headers: { 'if-match': '*' } });
    const any = { headers: { 'if-match': '*' } };
    const answers = [
      await call('GET', berth),
      await call('PUT', berth, { title: 'Taken' }, any),
      await call('DELETE', berth),
      await call('GET', `${port}/berths`),
      await call('POST', `${port}/berths`, { title: 'West' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404));
    expect((await call('GET', within(berth), undefined, { key: operator })).body.title).toBe('North');
  });

  it('keeps its parent: a row with children is not deleted', async () => {
    const ship = await makeShip();
    await make(`${ship}/cabins`, { cabin_id: unique(), title: 'First' });
    const removed = await call('DELETE', ship);
    expect([removed.status, removed.body.code]).toEqual([409, 'CONFLICT']);
    expect((await call('GET', ship)).status).toBe(200);
  });

  it('is not made if the parent is deleted at the same time', async () => {
    const ship = await makeShip();
    const deletion = app.admin.billing.begin(async (sql) => {
      await sql`delete from ships where ship_id = ${lastOf(ship)}`;
      const creation = call('POST', `${ship}/cabins`, { cabin_id: unique(), title: 'First' });
      await until(
        () =>
          app.admin.billing`select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'`,
        (waiting) => waiting.length > 0,
      );
      return { creation };
    });
    const answer = await (await deletion).creation;
    expect([answer.status, answer.body.detail]).toEqual([404, 'There is no such ship.']);
  });
});

describe('a row that tenants do not see', () => {
  it('is in no list, cannot be read, replaced or deleted, and does not change; operators see it', async () => {
    const leg = await makeLeg(await makeVoyage());
    const seen = await makeNote(leg, { content: 'seen' });
    const internal = { ...NOTE, is_internal: true, noted_at: '2026-04-01T00:00:00.000Z' };
    const hidden = await makeHidden(`${leg}/notes`, internal);
    const list = await call('GET', `${leg}/notes?limit=1`);
    expect(idsOf(list, 'note_id')).toEqual([lastOf(seen)]);
    expect(list.headers.get('link')).toBeNull();
    const filtered = await call('GET', `${leg}/notes?author_id=${NOTE.author_id}`);
    expect(idsOf(filtered, 'note_id')).toEqual([lastOf(seen)]);
    const any = { headers: { 'if-match': '*' } };
    const answers = [
      await call('GET', hidden),
      await call('PUT', hidden, { ...NOTE, is_internal: false }, any),
      await call('DELETE', hidden, undefined, any),
    ];
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    const all = await call('GET', within(`${leg}/notes`), undefined, { key: operator });
    expect(idsOf(all, 'note_id')).toEqual([lastOf(hidden), lastOf(seen)]);
    const read = await call('GET', within(hidden), undefined, { key: operator });
    expect([read.status, read.headers.get('etag')]).toEqual([200, '"1"']);
    const replaced = await call('PUT', within(hidden), internal, { key: operator, ...any });
    const deleted = await call('DELETE', within(hidden), undefined, { key: operator });
    expect([replaced.status, deleted.status]).toEqual([200, 204]);
  });

  it('cannot be made by a tenant, also not from a visible row', async () => {
    const leg = await makeLeg(await makeVoyage());
    const created = await call('POST', `${leg}/notes`, { ...NOTE, is_internal: true });
    expect([created.status, created.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    const note = await makeNote(leg, { content: 'seen' });
    const any = { headers: { 'if-match': '*' } };
    const replaced = await call('PUT', note, { ...NOTE, is_internal: true }, any);
    expect([replaced.status, replaced.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    const all = await call('GET', within(`${leg}/notes`), undefined, { key: operator });
    expect(all.body.items).toEqual([expect.objectContaining({ content: 'seen', is_internal: false })]);
  });

  it('of the platform is seen only by operators until it is published', async () => {
    const body = { title: 'Draft', is_published: false };
    const port = await make('/api/v1/ports', { port_id: 'draft', ...body }, operator);
    const unseen = await call('GET', port);
    const list = await call('GET', '/api/v1/ports');
    expect([unseen.status, idsOf(list, 'port_id').includes('draft')]).toEqual([404, false]);
    expect((await call('GET', port, undefined, { key: operator })).status).toBe(200);
    const shown = { ...body, is_published: true };
    await call('PUT', port, shown, { key: operator, headers: { 'if-match': '*' } });
    expect((await call('GET', port)).status).toBe(200);
  });

  it('is in the audit trail of the platform; what the tenant sees, before or after, is in its own', async () => {
    const leg = await makeLeg(await makeVoyage());
    const internal = { ...NOTE, is_internal: true };
    const any = { key: operator, headers: { 'if-match': '*' } };
    const hidden = await makeHidden(`${leg}/notes`, internal);
    await call('PUT', within(hidden), { ...internal, content: 'changed' }, any);
    await call('DELETE', within(hidden), undefined, any);
    const seen = await makeHidden(`${leg}/notes`, NOTE);
    await call('DELETE', within(seen), undefined, any);
    const shown = await makeHidden(`${leg}/notes`, internal);
    await call('PUT', within(shown), NOTE, any);
    await call('PUT', within(shown), internal, any);
    const below = await makeHidden(`${await makeSecret()}/legs`, { harbour: 'Bergen' });
    await call('DELETE', within(below), undefined, any);
    expect(await trailOf(hidden)).toEqual([
      'platform: note.created',
      'platform: note.replaced',
      'platform: note.deleted',
    ]);
    expect(await trailOf(seen)).toEqual(['acme: note.created', 'acme: note.deleted']);
    expect(await trailOf(shown)).toEqual([
      'platform: note.created',
      'acme: note.replaced',
      'acme: note.replaced',
    ]);
    expect(await trailOf(below)).toEqual(['platform: leg.created', 'platform: leg.deactivated']);
  });
});

describe('an operator’s routes to the rows of a tenant', () => {
  it('lead to those of the tenant that they name, and to no other’s', async () => {
    const voyage = await makeVoyage();
    const leg = await makeLeg(voyage);
    const any = { key: operator, headers: { 'if-match': '*' } };
    const elsewhere = [
      await call('GET', within(voyage, 'globex'), undefined, any),
      await call('PUT', within(voyage, 'globex'), { title: 'Taken' }, any),
      await call('DELETE', within(voyage, 'globex'), undefined, any),
      await call('GET', within(`${voyage}/legs`, 'globex'), undefined, any),
      await call('POST', within(`${voyage}/legs`, 'globex'), { harbour: 'Oslo' }, any),
      await call('GET', within(leg, 'globex'), undefined, any),
    ];
    expect(elsewhere.map(({ status }) => status)).toEqual(elsewhere.map(() => 404));
    expect((await call('GET', voyage)).headers.get('etag')).toBe('"1"');
    const replaced = await call('PUT', within(leg), { harbour: 'Oslo' }, any);
    expect([replaced.status, (await call('GET', leg)).body.harbour]).toEqual([200, 'Oslo']);
  });

  it('go on page by page within one tenant alone', async () => {
    for (const title of ['first', 'second', 'third']) {
      await make('/api/v1/voyages', { title }, acme.owner);
      await make('/api/v1/voyages', { title }, globex.owner);
    }
    const page = await call('GET', within('/api/v1/voyages?limit=1', 'globex'), undefined, { key: operator });
    const next = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    expect((await call('GET', next, undefined, { key: operator })).body.items).toHaveLength(1);
    const moved = await call('GET', next.replace('/globex/', '/acme/'), undefined, { key: operator });
    expect([moved.status, moved.body.errors[0].pointer]).toEqual([400, 'query/cursor']);
  });

  it('are closed to tenants, and lead to no tenant that is unknown or erased', async () => {
    const closed = await call('GET', within('/api/v1/voyages'), undefined, { key: acme.owner });
    expect([closed.status, closed.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    await app.admin.core`insert into tenants (tenant_id, name, plan_id, has_quota, status)
      values ('gone', 'Gone', 'free', true, 'erased'), ('late', 'Late', 'free', true, 'suspended')`;
    for (const tenant of ['gone', 'nobody']) {
      const answer = await call('GET', within('/api/v1/voyages', tenant), undefined, { key: operator });
      expect([answer.status, answer.body.detail]).toEqual([404, 'There is no such tenant.']);
    }
    const strange = await call('GET', within('/api/v1/voyages', 'NOT%20ONE'), undefined, { key: operator });
    expect([strange.status, strange.body.errors[0].pointer]).toEqual([400, 'path/tenant_id']);
    await make(within('/api/v1/voyages', 'late'), { title: 'help', is_secret: true }, operator);
  });

  it('use nothing of the tenant’s allowance, and are counted as the platform’s usage', async () => {
    await app.request('GET', '/api/v1/usage', { key: globex.owner });
    await make('/api/v1/voyages', { title: 'the last' }, globex.owner);
    await app.admin
      .billing`update free_tier_usage set current_usage = usage_limit where tenant_id = 'globex'`;
    const spent = await call('POST', '/api/v1/voyages', { title: 'more' }, { key: globex.owner });
    expect([spent.status, spent.body.code]).toEqual([402, 'QUOTA_EXCEEDED']);
    const before = await app.admin.billing`select from outbox_copies`;
    await make(within('/api/v1/voyages', 'globex'), { title: 'help' }, operator);
    const caused = await app.admin.billing`
      select c.tenant_id, e ->> 'type' as type from outbox_copies c, jsonb_array_elements(c.events) e
       where c.at > ${before.length} order by c.tenant_id`;
    expect(caused.map(({ tenant_id: tenant, type }) => [tenant, type])).toEqual([
      ['globex', AUDIT_RECORDED],
      ['platform', USAGE_RECORDED],
    ]);
    await app.admin.billing`update free_tier_usage set current_usage = 0 where tenant_id = 'globex'`;
  });

  it('have idempotency keys of their own: a tenant’s with the same words tells nothing of them', async () => {
    const headers = { 'idempotency-key': 'the-same' };
    const body = { title: 'once', is_secret: true };
    const first = await call('POST', within('/api/v1/voyages'), body, { key: operator, headers });
    const again = await call('POST', within('/api/v1/voyages'), body, { key: operator, headers });
    const other = await call('POST', within('/api/v1/voyages', 'globex'), body, { key: operator, headers });
    const own = await call('POST', '/api/v1/voyages', { title: 'mine' }, { headers });
    expect([first.status, again.status, other.status, own.status]).toEqual([201, 201, 201, 201]);
    expect([again.body, again.headers.get('idempotency-replayed')]).toEqual([first.body, 'true']);
    expect(other.body.voyage_id).not.toBe(first.body.voyage_id);
    expect(own.headers.get('idempotency-replayed')).toBeNull();
  });

  it('may do more than the tenant, who reads what operators write', async () => {
    const survey = await makeHidden('/api/v1/surveys', { findings: 'all well' });
    expect((await call('GET', survey)).body.findings).toBe('all well');
    const refused = [
      await call('POST', '/api/v1/surveys', { findings: 'mine' }),
      await call('DELETE', survey),
      await call('GET', survey, undefined, { key: globex.owner }),
    ];
    expect(refused.map(({ status }) => status)).toEqual([405, 405, 404]);
    expect((await call('DELETE', within(survey), undefined, { key: operator })).status).toBe(204);
    expect((await call('GET', survey)).status).toBe(404);
  });
});

describe('a cursor of a list below a parent', () => {
  it('continues below that parent, with any spelling of its id, and below no other', async () => {
    const [first, second] = [await makeVoyage(), await makeVoyage()];
    for (const voyage of [first, second]) for (let n = 0; n < 3; n++) await makeLeg(voyage);
    const page = await call('GET', `${first}/legs?limit=1`);
    const next = /cursor=([^&>]+)/.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    const goOn = (voyage: string) => call('GET', `${voyage}/legs?limit=1&cursor=${next}`);
    const inUpperCase = `${first.slice(0, first.lastIndexOf('/'))}/${lastOf(first).toUpperCase()}`;
    const [here, spelled, elsewhere] = [await goOn(first), await goOn(inUpperCase), await goOn(second)];
    expect([here.status, spelled.status]).toEqual([200, 200]);
    expect(idsOf(spelled, 'leg_id')).toEqual(idsOf(here, 'leg_id'));
    expect([elsewhere.status, elsewhere.body.errors]).toEqual([
      400,
      [{ pointer: 'query/cursor', detail: 'is not a cursor of this list with these filters' }],
    ]);
    // Also if the parent's id was chosen by a client, and the grandparent is another one.
    const leg = await makeLeg(first);
    for (let n = 0; n < 2; n++) await makeNote(leg);
    const notes = await call('GET', `${leg}/notes?limit=1`);
    const onNotes = /cursor=([^&>]+)/.exec(notes.headers.get('link') ?? '')?.[1] ?? '';
    const other = await makeLeg(first);
    expect((await call('GET', `${leg}/notes?limit=1&cursor=${onNotes}`)).status).toBe(200);
    expect((await call('GET', `${other}/notes?limit=1&cursor=${onNotes}`)).status).toBe(400);
  });
});

describe('a list by a time of its own', () => {
  it('goes page by page in the order of that time, also over equal times, not in the order of creation', async () => {
    const leg = await makeLeg(await makeVoyage());
    const times = ['2026-03-02', '2026-03-01', '2026-03-03', '2026-03-02', '2026-03-02'];
    for (const day of times) await makeNote(leg, { noted_at: `${day}T00:00:00.000001Z` });
    const walk = async (sort: string): Promise<string[]> => {
      const seen: string[] = [];
      let path: string | undefined = `${leg}/notes?limit=2${sort}`;
      while (path !== undefined) {
        const page: TestAnswer = await call('GET', path);
        expect(page.status).toBe(200);
        seen.push(...page.body.items.map((note: Record<string, string>) => note['noted_at']?.slice(0, 10)));
        path = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1];
      }
      return seen;
    };
    expect(await walk('&sort=noted_at')).toEqual(times.toSorted());
    expect(await walk('')).toEqual(times.toSorted().reverse());
    const other = await call('GET', `${leg}/notes?sort=created_at`);
    expect([other.status, other.body.errors[0].pointer]).toEqual([400, 'query/sort']);
  });
});

describe('ids', () => {
  it('that are filters are the same in either case', async () => {
    const leg = await makeLeg(await makeVoyage());
    const author = '0190a5f0-0000-7000-8000-00000000beef';
    const note = await makeNote(leg, { author_id: author.toUpperCase() });
    expect((await call('GET', note)).body.author_id).toBe(author);
    const list = await call('GET', `${leg}/notes?author_id=${author.toUpperCase()}`);
    expect(idsOf(list, 'note_id')).toEqual([lastOf(note)]);
    // The next page is found with either spelling: a cursor is bound to the filter's value, not to its spelling.
    await makeNote(leg, { author_id: author });
    const first = await call('GET', `${leg}/notes?limit=1&author_id=${author.toUpperCase()}`);
    const next = /cursor=([^&>]+)/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
    const second = await call('GET', `${leg}/notes?limit=1&author_id=${author}&cursor=${next}`);
    expect([second.status, idsOf(second, 'note_id')]).toEqual([200, [lastOf(note)]]);
  });

  it('that clients choose have one spelling, are unique in a tenant, and never change', async () => {
    const path = `${await makeShip()}/cabins`;
    const cabin_id = unique();
    expect(await make(path, { cabin_id, title: 'First' })).toBe(`${path}/${cabin_id}`);
    for (const bad of ['UPPER', 'a/b', '', 'x'.repeat(101), '-first', 7]) {
      const refused = await call('POST', path, { cabin_id: bad, title: 'First' });
      expect([bad, refused.status, refused.body.errors[0].pointer]).toEqual([bad, 400, '/cabin_id']);
    }
    const absent = await call('POST', path, { title: 'First' });
    expect([absent.status, absent.body.errors]).toEqual([
      400,
      [{ pointer: '/cabin_id', detail: 'is required' }],
    ]);
    const taken = await call('POST', path, { cabin_id, title: 'Second' });
    expect([taken.status, taken.body.detail]).toEqual([409, 'A cabin of this cabin_id exists already.']);
    const theirs = await make('/api/v1/ships', { ship_id: unique(), title: 'theirs' }, globex.owner);
    await make(`${theirs}/cabins`, { cabin_id, title: 'Second' }, globex.owner);
    const any = { headers: { 'if-match': '*' } };
    const renamed = await call('PUT', `${path}/${cabin_id}`, { cabin_id: 'other', title: 'First' }, any);
    expect([renamed.status, renamed.body.errors[0].pointer]).toEqual([400, '/cabin_id']);
    const replaced = await call('PUT', `${path}/${cabin_id}`, { title: 'Second', size_m2: 0.125 }, any);
    expect(replaced.body).toMatchObject({ cabin_id, title: 'Second', size_m2: 0.125 });
  });
});

describe('the tests of all routes', async () => {
  const { operations } = await readApiDocument(app);
  const declared = operations.filter(({ tags }) => fixtureResources.some(({ name }) => tags.includes(name)));

  it('are made from the declarations: the oracle has each route and its permission', () => {
    const known = fixtureResources.flatMap(routesOf).map(({ operation, needs }) => `${operation}: ${needs}`);
    const served = declared.map(({ id, permission }) => `${id}: ${permission}`);
    expect(known.sort()).toEqual(served.sort());
  });

  it('are made from the declarations: the tour visits each route', async () => {
    const visited = new Set<string>();
    const sendAs =
      (key: string): Send =>
      async (operation, expected, method, path, body, headers = {}) => {
        const answer = await call(method, `/api/${path}`, body, { key, headers });
        expect([operation, answer.status]).toEqual([operation, expected]);
        visited.add(operation);
        return answer;
      };
    const rows = rowMaker(app, 'acme', acme.owner, 'toured');
    await tourResources(fixtureResources, rows, sendAs, sendAs(operator));
    expect([...visited].sort()).toEqual(declared.map(({ id }) => id).sort());
  });

  it('are made from the declarations: the fuzzer has rows for each path', async () => {
    const pools: Pools = { acme: new Map(), globex: new Map(), platform: new Map() };
    for (const tenant of ['acme', 'globex'] as const) {
      await seedDeclared(app, tenant, app.keys[tenant].owner, 'fuzzed', pools, fixtureResources);
      addRow(pools.platform, 'platform/tenants', [tenant]);
    }
    await seedDeclared(app, 'platform', operator, 'fuzzed', pools, fixtureResources);
    const missing = declared.filter(
      ({ path }) =>
        path.includes('{') &&
        ![pools.acme, pools.globex, pools.platform].some((pool) => pool.has(collectionOf(path))),
    );
    expect(missing.map(({ id }) => id)).toEqual([]);
  });
});
