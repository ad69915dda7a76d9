import { newId } from '../../shared/platform/ids/ids.ts';
import {
  collectionPathOf,
  databaseOf,
  type Resource,
  writePermissionOf,
} from '../../shared/platform/resources/resource.ts';
import { columnOf, insertText } from '../../shared/platform/resources/resource-sql.ts';
import type { TestAnswer, TestApp } from './app.ts';

/** A row made from its resource's sample. */
export interface MadeRow {
  readonly id: string;
  /** The path of its URL. */
  readonly path: string;
  /** The ids in that path, the outermost parent first. */
  readonly pathIds: readonly string[];
  /** The body that it was made from. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The row as it is read. */
  readonly row: Readonly<Record<string, unknown>>;
}

/** A body for a new row, and its place. */
export interface Sample {
  /** The path of the collection, below an existing parent. */
  readonly path: string;
  readonly parentIds: readonly string[];
  readonly body: Readonly<Record<string, unknown>>;
}

/** Makes rows of declared resources for one tenant. The operator's key makes the platform's rows. */
export interface RowMaker {
  /** A sample. Its parents and the rows that it refers to are made first. */
  sample(resource: Resource): Promise<Sample>;
  /** Makes a row from a sample. */
  make(resource: Resource): Promise<MadeRow>;
  /** Like `make`, but undefined if the resource's rules allow no further row. */
  tryMake(resource: Resource): Promise<MadeRow | undefined>;
  /** The key that may write the resource. */
  keyFor(resource: Resource): string;
}

let made = 0;

/**
 * Makes rows. `mark` (lower-case letters, digits and underscores) is part of the samples' unique values. `onCreated` is called
 * for each row that is made over HTTP.
 */
export function rowMaker(
  app: TestApp,
  tenantId: string,
  key: string,
  mark = 'sample',
  onCreated: (resource: Resource, answer: TestAnswer) => void = () => undefined,
): RowMaker {
  const keyFor = (resource: Resource): string =>
    // Rows that clients cannot write are read by their tenant.
    resource.permissions.write !== undefined && writePermissionOf(resource) === 'platform:operate'
      ? app.keys.operator
      : key;

  const sample: RowMaker['sample'] = async (resource) => {
    const parent = resource.parent === undefined ? undefined : await make(resource.parent.resource);
    made += 1;
    const body = await resource.sample({
      unique: `${mark}_${made}`,
      make: async (other) => (await make(other)).row,
    });
    return {
      path:
        parent === undefined
          ? `/api/v1/${collectionPathOf(resource)}`
          : `${parent.path}/${resource.parent?.segment ?? ''}`,
      parentIds: parent?.pathIds ?? [],
      body,
    };
  };

  const post = (resource: Resource, { path, body }: Sample): Promise<TestAnswer> =>
    app.request('POST', path, { key: keyFor(resource), body });

  const madeFrom = (
    resource: Resource,
    { path, parentIds, body }: Sample,
    row: TestAnswer['body'],
  ): MadeRow => {
    const id = String(row[resource.idColumn]);
    return { id, path: `${path}/${id}`, pathIds: [...parentIds, id], body, row };
  };

  const tryMake: RowMaker['tryMake'] = async (resource) => {
    const from = await sample(resource);
    if (!resource.verbs.includes('create')) {
      const id = await insert(app, resource, tenantId, from);
      const path = `${from.path}/${id}`;
      const { body: row } = await app.request('GET', path, { key: readerOf(app, resource, key) });
      return madeFrom(resource, from, row);
    }
    const answer = await post(resource, from);
    onCreated(resource, answer);
    if (answer.status === 409) return undefined;
    if (answer.status !== 201)
      throw new Error(`no ${resource.one} was made: ${answer.status} ${JSON.stringify(answer.body)}`);
    return madeFrom(resource, from, answer.body);
  };

  async function make(resource: Resource): Promise<MadeRow> {
    const row = await tryMake(resource);
    if (row === undefined) throw new Error(`the sample of ${resource.name} cannot be made again`);
    return row;
  }
  return { sample, make, tryMake, keyFor };
}

/** The key that may read a resource: the tenant's, or the operator's for rows that are no tenant's business. */
export function readerOf(app: TestApp, resource: Resource, key: string): string {
  return resource.permissions.read === 'platform:operate' ? app.keys.operator : key;
}

/** Inserts a row as the database's owner, for resources that clients do not create. */
async function insert(
  app: TestApp,
  resource: Resource,
  tenantId: string,
  { parentIds, body }: Sample,
): Promise<string> {
  const sql = app.admin[databaseOf(resource)];
  const id = resource.idSchema === undefined ? newId() : String(body[resource.idColumn]);
  const columns = Object.fromEntries([
    ...Object.entries(body).map(([field, value]) => [columnOf(resource, field), value]),
    ...(resource.parent === undefined ? [] : [[resource.parent.column, parentIds.at(-1)]]),
  ]) as Record<string, unknown>;
  await sql.unsafe(insertText(resource, Object.keys(columns)), [
    id,
    new Date(),
    sql.json(columns as never),
    ...(resource.scope === 'platform' ? [] : [tenantId]),
  ]);
  return id;
}

/** The collection's path as a template, `a/{}/b`, which is a key of row pools. */
export function templateOf(resource: Resource): string {
  return collectionPathOf(resource).replace(/\{\w+\}/g, '{}');
}

/** The operators' path of a tenant's path. */
export function operatorsPath(path: string, tenantId: string): string {
  return path.replace('/api/v1/', `/api/v1/platform/tenants/${tenantId}/`);
}
