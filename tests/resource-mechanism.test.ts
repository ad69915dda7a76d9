import { describe, expect, it } from 'vitest';
import { PERMISSION_SETS } from '../shared/platform/auth/permissions.ts';
import { FIXTURE_TABLES, fixtureResources } from './fixture-app/resources.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';
import { describeResource } from './harness/describe-resource.ts';

// What a declaration can say beyond what the app's own resources say so far, on tables of this test's own database.
const app = await startTestApp({ app: 'fixture-app' });
await app.admin.billing.unsafe(FIXTURE_TABLES);
const { acme, globex, operator } = app.keys;
/** An operator who works within acme. */
const inside = await app.makeKey('acme', [...PERMISSION_SETS.owner, 'platform:operate']);

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

const makeVoyage = (body: object = {}, key?: string): Promise<string> =>
  make('/api/v1/voyages', { title: unique(), ...body }, key);
const makeLeg = (voyage: string, key?: string): Promise<string> =>
  make(`${voyage}/legs`, { leg_id: unique(), harbour: 'Bergen' }, key);
const makeNote = (leg: string, body: object = {}, key?: string): Promise<string> =>
  make(`${leg}/notes`, { ...NOTE, content: unique(), ...body }, key);
const lastOf = (path: string): string => path.split('/').at(-1) ?? '';
const idsOf = (answer: TestAnswer, field: string): string[] =>
  answer.body.items.map((item: Record<string, string>) => item[field]);

for (const resource of fixtureResources) describeResource(app, resource);

describe('a resource below a parent', () => {
  it('takes the parent from the path, and lists that parent’s rows alone', async () => {
    const [first, second] = [await makeVoyage(), await makeVoyage()];
    const [leg, other] = [await makeLeg(first), await makeLeg(second)];
    const read = await call('GET', leg);
    expect(read.body).toMatchObject({ voyage_id: lastOf(first), leg_id: lastOf(leg) });
    expect(idsOf(await call('GET', `${first}/legs`), 'leg_id')).toEqual([lastOf(leg)]);
    expect(idsOf(await call('GET', `${second}/legs`), 'leg_id')).toEqual([lastOf(other)]);
    const named = await call('POST', `${first}/legs`, {
      leg_id: unique(),
      harbour: 'Oslo',
      voyage_id: lastOf(second),
    });
    expect([named.status, named.body.errors[0].pointer]).toEqual([400, '/voyage_id']);
  });

  /** Every request to the legs and notes below a path that does not lead there. */
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

  it('cannot be reached through another parent, an absent one, or by another tenant', async () => {
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
      const create = await call('POST', path, { leg_id: unique(), harbour: 'Oslo' }, { key });
      expect([list.status, create.status, create.body.detail]).toEqual([
        404,
        404,
        'There is no such voyage.',
      ]);
    }
    const after = await Promise.all([call('GET', leg), call('GET', note)]);
    expect(after.map(({ body }) => body)).toEqual(before.map(({ body }) => body));
  });

  it('cannot be reached through a parent that its caller does not see; operators reach it', async () => {
    const voyage = await makeVoyage({ is_secret: true }, inside);
    const leg = await makeLeg(voyage, inside);
    const note = await makeNote(leg, {}, inside);
    await expectNothingBelow(voyage, leg, note);
    expect((await call('GET', `${voyage}/legs`)).status).toBe(404);
    for (const path of [voyage, `${voyage}/legs`, leg, `${leg}/notes`, note])
      expect([path, (await call('GET', path, undefined, { key: inside })).status]).toEqual([path, 200]);
  });

  it('keeps its parent: a row that others belong to is not deleted', async () => {
    const voyage = await makeVoyage();
    await makeLeg(voyage);
    const removed = await call('DELETE', voyage);
    expect([removed.status, removed.body.code]).toEqual([409, 'CONFLICT']);
    expect((await call('GET', voyage)).status).toBe(200);
  });

  it('is not made where the parent is deleted at the same time', async () => {
    const voyage = await makeVoyage();
    const deletion = app.admin.billing.begin(async (sql) => {
      await sql`delete from voyages where voyage_id = ${lastOf(voyage)}`;
      const creation = call('POST', `${voyage}/legs`, { leg_id: unique(), harbour: 'Oslo' });
      await until(
        () =>
          app.admin.billing`select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'`,
        (waiting) => waiting.length > 0,
      );
      return { creation };
    });
    const answer = await (await deletion).creation;
    expect([answer.status, answer.body.detail]).toEqual([404, 'There is no such voyage.']);
  });
});

describe('a row that tenants do not see', () => {
  it('is in no list, cannot be read, replaced or deleted, and stays as it was; operators see it', async () => {
    const leg = await makeLeg(await makeVoyage());
    const seen = await makeNote(leg, { content: 'seen' });
    const hidden = await makeNote(leg, { is_internal: true, noted_at: '2026-04-01T00:00:00.000Z' }, inside);
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
    const all = await call('GET', `${leg}/notes`, undefined, { key: inside });
    expect(idsOf(all, 'note_id')).toEqual([lastOf(hidden), lastOf(seen)]);
    const read = await call('GET', hidden, undefined, { key: inside });
    expect([read.status, read.headers.get('etag')]).toEqual([200, '"1"']);
    const replaced = await call('PUT', hidden, { ...NOTE, is_internal: true }, { key: inside, ...any });
    const deleted = await call('DELETE', hidden, undefined, { key: inside });
    expect([replaced.status, deleted.status]).toEqual([200, 204]);
  });

  it('is not made by a tenant, nor made of a row that it sees', async () => {
    const leg = await makeLeg(await makeVoyage());
    const created = await call('POST', `${leg}/notes`, { ...NOTE, is_internal: true });
    expect([created.status, created.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    const note = await makeNote(leg, { content: 'seen' });
    const any = { headers: { 'if-match': '*' } };
    const replaced = await call('PUT', note, { ...NOTE, is_internal: true }, any);
    expect([replaced.status, replaced.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    const all = await call('GET', `${leg}/notes`, undefined, { key: inside });
    expect(all.body.items).toEqual([expect.objectContaining({ content: 'seen', is_internal: false })]);
  });

  it('of the platform is seen by operators alone until it is shown', async () => {
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
});

describe('a cursor of a list below a parent', () => {
  it('goes on below that parent, however its id is spelled, and below no other', async () => {
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
    // Also where the parent has an id that a client chose, and the grandparent is another.
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
  it('goes page by page in the order of that time, over equal times too, whenever rows were made', async () => {
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
    // The page after is found with either spelling: a cursor is bound to the filter, not to how it was written.
    await makeNote(leg, { author_id: author });
    const first = await call('GET', `${leg}/notes?limit=1&author_id=${author.toUpperCase()}`);
    const next = /cursor=([^&>]+)/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
    const second = await call('GET', `${leg}/notes?limit=1&author_id=${author}&cursor=${next}`);
    expect([second.status, idsOf(second, 'note_id')]).toEqual([200, [lastOf(note)]]);
  });

  it('that clients choose have one spelling, are taken once a tenant, and never change', async () => {
    const voyage = await makeVoyage();
    const leg_id = unique();
    const path = `${voyage}/legs`;
    expect(await make(path, { leg_id, harbour: 'Bergen' })).toBe(`${path}/${leg_id}`);
    for (const bad of ['UPPER', 'a/b', '', 'x'.repeat(101), '-first', 7]) {
      const refused = await call('POST', path, { leg_id: bad, harbour: 'Bergen' });
      expect([bad, refused.status, refused.body.errors[0].pointer]).toEqual([bad, 400, '/leg_id']);
    }
    const absent = await call('POST', path, { harbour: 'Bergen' });
    expect([absent.status, absent.body.errors]).toEqual([
      400,
      [{ pointer: '/leg_id', detail: 'is required' }],
    ]);
    const taken = await call('POST', path, { leg_id, harbour: 'Oslo' });
    expect([taken.status, taken.body.detail]).toEqual([409, 'A leg of this leg_id exists already.']);
    const theirs = await make('/api/v1/voyages', { title: 'theirs' }, globex.owner);
    await make(`${theirs}/legs`, { leg_id, harbour: 'Oslo' }, globex.owner);
    const any = { headers: { 'if-match': '*' } };
    const renamed = await call('PUT', `${path}/${leg_id}`, { leg_id: 'other', harbour: 'Bergen' }, any);
    expect([renamed.status, renamed.body.errors[0].pointer]).toEqual([400, '/leg_id']);
    const replaced = await call('PUT', `${path}/${leg_id}`, { harbour: 'Oslo', length_nm: 0.125 }, any);
    expect(replaced.body).toMatchObject({ leg_id, harbour: 'Oslo', length_nm: 0.125 });
  });
});
