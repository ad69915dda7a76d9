import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  canBeHidden,
  databaseOf,
  isVersioned,
  operatorVerbsOf,
  timeFieldOf,
  writePermissionOf,
  type Resource,
  type Verb,
} from '../../shared/platform/resources/resource.ts';
import { resourceSchemas } from '../../shared/platform/resources/resource-schemas.ts';
import type { TestAnswer, TestApp } from './app.ts';
import { operatorsPath, readerOf, rowMaker, type RowMaker } from './row-maker.ts';

/** What operators may do with a tenant's rows, and nobody else by their routes. */
function describeOperators(app: TestApp, resource: Resource, rows: RowMaker): void {
  const { acme, operator } = app.keys;
  const verbs = operatorVerbsOf(resource);
  const ask = (method: string, path: string, body?: unknown, key = operator): Promise<TestAnswer> =>
    app.request(method, path, { key, headers: method === 'PUT' ? { 'if-match': '*' } : {}, body });

  it('is reached by operators who name its tenant, by their routes, which are closed to others', async () => {
    const { path: own, body } = await rows.sample(resource);
    const collection = operatorsPath(own, 'acme');
    const made = verbs.includes('create') ? await ask('POST', collection, body) : undefined;
    if (made !== undefined) expect([made.status, made.body]).toEqual([201, expect.objectContaining(body)]);
    const path = made?.headers.get('location') ?? operatorsPath((await rows.make(resource)).path, 'acme');
    const above = path.slice(0, path.lastIndexOf('/'));
    if (verbs.includes('read')) expect((await ask('GET', path)).status).toBe(200);
    if (verbs.includes('list')) {
      const { items } = (await ask('GET', `${above}?limit=500`)).body;
      const ids = items.map((item: Record<string, unknown>) => item[resource.idColumn]);
      expect(ids).toContain(path.slice(above.length + 1));
    }
    const replacing = Object.entries((await rows.sample(resource)).body);
    const replaced = Object.fromEntries(replacing.filter(([field]) => field !== resource.idColumn));
    if (verbs.includes('replace')) expect((await ask('PUT', path, replaced)).status).toBe(200);
    const requests = {
      create: ['POST', above, body],
      list: ['GET', above],
      read: ['GET', path],
      replace: ['PUT', path, replaced],
      delete: ['DELETE', path],
      deactivate: ['DELETE', path],
    } as const;
    for (const verb of verbs) {
      const [method, where, sent] = requests[verb];
      const { status, body: problem } = await ask(method, where, sent, acme.owner);
      expect([verb, status, problem.code]).toEqual([verb, 403, 'INSUFFICIENT_RBAC']);
    }
    if (verbs.includes('delete') || verbs.includes('deactivate'))
      expect((await ask('DELETE', path)).status).toBe(204);
  });
}

/** A version that no row in the tests has. */
const STALE = { 'if-match': '"999999"' };

/**
 * Tests one declared resource over HTTP. Its rows are acme's or the platform's. The tests are made from the declaration, so
 * they cannot differ from it.
 */
export function describeResource(app: TestApp, resource: Resource): void {
  const { acme, globex } = app.keys;
  const rows = rowMaker(app, 'acme', acme.owner);
  const writer = rows.keyFor(resource);
  const can = (verb: Verb): boolean => resource.verbs.includes(verb);
  /** A test for resources that clients create. */
  const ifCreated = (title: string, test: () => Promise<void>): void => {
    if (can('create')) it(title, test);
  };
  const removable = can('delete') || can('deactivate');

  const get = (path: string, headers = {}): Promise<TestAnswer> =>
    app.request('GET', path, { key: readerOf(app, resource, acme.owner), headers });
  const put = (path: string, body: unknown, headers = {}, key = writer): Promise<TestAnswer> =>
    app.request('PUT', path, { key, body, headers });
  const remove = (path: string, headers = {}, key = writer): Promise<TestAnswer> =>
    app.request('DELETE', path, { key, headers });
  const collectionOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

  /** A body to replace a row: another sample, without a client's id. */
  async function replacement(): Promise<Record<string, unknown>> {
    const { body } = await rows.sample(resource);
    return Object.fromEntries(Object.entries(body).filter(([field]) => field !== resource.idColumn));
  }

  describe(resource.name, () => {
    it('has a sample that fits its schema, and a default for each optional field', async () => {
      const { body } = await rows.sample(resource);
      if (can('create')) resourceSchemas(resource).newRow.parse(body);
      for (const [field, schema] of Object.entries(resource.body.shape)) {
        const absent = z.safeParse(schema, undefined);
        const leavesGap = absent.success && absent.data === undefined;
        expect({ field, leavesGap }).toEqual({ field, leavesGap: false });
      }
    });

    it('has verbs that its declaration allows', () => {
      // What else a declaration may not say, declareResource refuses.
      const writes = can('create') || can('replace') || removable;
      if (writes && resource.scope === 'platform')
        expect(writePermissionOf(resource)).toBe('platform:operate');
    });

    if (canBeHidden(resource))
      it('has no unique key that would tell a tenant of a row that it does not see', async () => {
        // A key with an id that the service makes never clashes. One that leaves hidden rows out is a partial index.
        const keys = await app.admin[databaseOf(resource)]`
          select i.indexrelid::regclass::text as name from pg_index i
           where i.indrelid = ${resource.table}::regclass and i.indisunique and i.indpred is null
             and not exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any(i.indkey)
                                and a.attname = ${resource.idColumn})`;
        expect(keys.map((key) => String(key['name']))).toEqual([]);
      });

    if (operatorVerbsOf(resource).length > 0) describeOperators(app, resource, rows);

    ifCreated('is made once, and found where Location says', async () => {
      const sample = await rows.sample(resource);
      const sent = { key: writer, body: sample.body };
      const made = await app.request('POST', sample.path, sent);
      expect([made.status, made.body]).toEqual([201, expect.objectContaining(sample.body)]);
      const path = `${sample.path}/${String(made.body[resource.idColumn])}`;
      expect(made.headers.get('location')).toBe(path);
      expect(made.headers.get('etag')).toBe(isVersioned(resource) ? '"1"' : null);
      expect((await get(path)).body).toEqual(made.body);
      if (resource.conflicts !== undefined || resource.idSchema !== undefined) {
        const clash = await app.request('POST', sample.path, sent);
        expect([clash.status, clash.body.code]).toEqual([409, 'CONFLICT']);
        // The resource's own text shows that the declared constraint refused the row.
        expect(clash.body.detail).not.toBe('It exists already.');
      }
      if (removable) await remove(path);
    });

    it('is read by those who may see it, and listed in the order of its time', async () => {
      const { path, id, row } = await rows.make(resource);
      const read = await get(path);
      expect([read.status, read.body]).toEqual([200, row]);
      const etag = read.headers.get('etag');
      expect(etag).toBe(isVersioned(resource) ? row['etag'] : null);
      if (etag !== null) {
        const again = await get(path, { 'if-none-match': etag });
        expect([again.status, again.body, again.headers.get('etag')]).toEqual([304, '', etag]);
      }
      const time = timeFieldOf(resource);
      const listed = await get(`${collectionOf(path)}?limit=500`);
      expect(listed.body.items).toContainEqual(row);
      const times: number[] = listed.body.items.map((item: Record<string, string>) =>
        Date.parse(item[time] ?? ''),
      );
      expect(times).toEqual(times.toSorted((left, right) => right - left));
      for (const name of Object.keys(resource.filters ?? {})) {
        const value = row[name];
        const narrowed = await get(
          `${collectionOf(path)}?limit=500&${name}=${encodeURIComponent(String(value))}`,
        );
        expect([name, narrowed.status]).toEqual([name, 200]);
        expect(narrowed.body.items).toContainEqual(row);
        const others = narrowed.body.items.filter((item: Record<string, unknown>) => item[name] !== value);
        expect([name, others]).toEqual([name, []]);
      }
      const strange = await get(`${collectionOf(path)}?colour=red`);
      expect([strange.status, strange.body.errors[0].pointer]).toEqual([400, 'query/colour']);
      const missing = await get(`${collectionOf(path)}/0190a5f0-0000-7000-8000-00000000dead`);
      expect([missing.status, missing.body.code]).toEqual([404, 'NOT_FOUND']);
      if (resource.idSchema === undefined) {
        const upper = await get(`${collectionOf(path)}/${id.toUpperCase()}`);
        expect([upper.status, upper.body]).toEqual([200, row]);
        expect((await get(`${collectionOf(path)}/7`)).status).toBe(400);
      }
      if (removable) await remove(path);
    });

    it('is replaced as a whole, only with the present version, if the resource allows it', async () => {
      const { path, row } = await rows.make(resource);
      const body = await replacement();
      if (can('replace')) {
        const blind = await put(path, body);
        expect([blind.status, blind.body.errors[0].pointer]).toEqual([400, 'header/If-Match']);
        const replaced = await put(path, body, { 'if-match': row['etag'] });
        expect([replaced.status, replaced.headers.get('etag')]).toEqual([200, '"2"']);
        expect(replaced.body).toMatchObject({ ...body, [resource.idColumn]: row[resource.idColumn] });
        const late = await put(path, body, { 'if-match': row['etag'] });
        expect([late.status, late.body.code]).toEqual([412, 'PRECONDITION_FAILED']);
      } else {
        const refused = await put(path, body);
        expect([refused.status, refused.body.code]).toEqual([405, 'METHOD_NOT_ALLOWED']);
      }
      if (removable) await remove(path);
    });

    it('is deleted or deactivated, if the resource allows it', async () => {
      const { path } = await rows.make(resource);
      if (!removable) {
        expect((await remove(path)).status).toBe(405);
        return;
      }
      if (isVersioned(resource)) expect((await remove(path, STALE)).status).toBe(412);
      const removed = await remove(path);
      expect([removed.status, removed.body]).toEqual([204, '']);
      const after = await get(path);
      expect(after.status).toBe(can('delete') ? 404 : 200);
      if (can('deactivate')) expect(after.body.is_active).toBe(false);
    });

    it('cannot be read or changed by another tenant', async () => {
      const { path } = await rows.make(resource);
      const own = { key: globex.owner };
      const read = await app.request('GET', path, own);
      const isOperators = resource.permissions.read === 'platform:operate';
      expect(read.status).toBe(isOperators ? 403 : resource.scope === 'platform' ? 200 : 404);
      if (isOperators) {
        const list = await app.request('GET', collectionOf(path), own);
        expect([list.status, list.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
      }
      const answers = [
        ...(can('replace') ? [await put(path, await replacement(), { 'if-match': '*' }, globex.owner)] : []),
        ...(removable ? [await remove(path, {}, globex.owner)] : []),
      ];
      for (const { status } of answers)
        expect(status).toBe(writePermissionOf(resource) === 'platform:operate' ? 403 : 404);
      if (removable) await remove(path);
    });

    ifCreated('refuses unknown fields and a key without its permission', async () => {
      const { path, body } = await rows.sample(resource);
      const unknown = await app.request('POST', path, { key: writer, body: { ...body, surprise: 1 } });
      expect([unknown.status, unknown.body.errors]).toEqual([
        400,
        [{ pointer: '/surprise', detail: 'is not a known field' }],
      ]);
      const reader = await app.request('POST', path, { key: acme.reader, body });
      expect([reader.status, reader.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    });

    ifCreated('answers a repeated Idempotency-Key with the first answer', async () => {
      const { path, body } = await rows.sample(resource);
      const sent = { key: writer, body, headers: { 'idempotency-key': `${resource.name} again` } };
      const first = await app.request('POST', path, sent);
      const second = await app.request('POST', path, sent);
      expect([first.status, second.status, second.body]).toEqual([201, 201, first.body]);
      expect(second.headers.get('idempotency-replayed')).toBe('true');
      expect(second.headers.get('location')).toBe(first.headers.get('location'));
      if (removable) await remove(second.headers.get('location') ?? '');
    });
  });
}
