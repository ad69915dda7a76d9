import fc from 'fast-check';
import type { ApiDocument, Json, Operation, Parameter } from '../harness/api-document.ts';
import { mutate, mutations } from './mutations.ts';
import { anything, valuesOf, type ValueSource } from './schema-arbitrary.ts';

/** The tenants whose keys the fuzzer holds; `platform` is the operator's. */
export const TENANTS = ['acme', 'globex', 'platform'] as const;
export type Tenant = (typeof TENANTS)[number];
const OTHER: Readonly<Record<Tenant, Tenant>> = { acme: 'globex', globex: 'acme', platform: 'acme' };

/**
 * The known rows by tenant and collection (`mappings`, `services/{}/milestones`): for each row the ids in its path, its own
 * id last.
 */
export type Pools = Readonly<Record<Tenant, Map<string, (readonly string[])[]>>>;

/** A request to send. */
export interface FuzzRequest {
  readonly operation: Operation;
  readonly tenant: Tenant;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: string | undefined;
}

/** A request without the ids in its path. */
export interface Draft {
  readonly operation: Operation;
  readonly tenant: Tenant;
  readonly params: readonly {
    readonly from: 'own' | 'other' | 'given';
    readonly at: number;
    readonly given: string;
  }[];
  readonly query: readonly (readonly [string, string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: string | undefined;
}

const LABELS = ['PII.Identifier.SSN', 'PII.Contact.Email', 'BIAS.Race', 'OTHER.Unknown', 'No.Such.Label'];
const DAY_MS = 24 * 60 * 60_000;

/** Strings of a tenant: its marker, which no other tenant's answer and no log line may contain, and other texts. */
function stringsOf(marker: string): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(marker) },
    { weight: 3, arbitrary: fc.string({ unit: 'grapheme', maxLength: 30 }) },
    { weight: 2, arbitrary: fc.stringMatching(/^[a-z][a-z0-9_-]{0,12}$/) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 12 }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('__proto__', 'constructor', 'tenant_id', '%00', 'a/b~c', '😀', ' ', '{{x}}'),
    },
  );
}

function sourceOf(marker: string, ids: readonly string[]): ValueSource {
  const strings = stringsOf(marker);
  const label = fc.constantFrom(...LABELS);
  const now = Date.now();
  return {
    strings,
    byName: {
      policy_bundle: fc.oneof({ weight: 6, arbitrary: fc.constant('default') }, strings),
      taxonomy: fc.uniqueArray(label, { minLength: 1, maxLength: 3 }),
      scores: fc.dictionary(label, fc.double({ min: 0, max: 1, noNaN: true }), { maxKeys: 3 }),
      orchestration_request_id: fc.constantFrom(...ids),
      // A job that runs as of a far day does the work of all days until then.
      as_of: fc.integer({ min: -60, max: 60 }).map((days) => new Date(now + days * DAY_MS).toISOString()),
      // Nobody is there, and no name server knows it.
      url: fc.oneof({ weight: 4, arbitrary: fc.constant('https://receiver.invalid/fuzz') }, strings),
      // The fuzzer must not lock itself out.
      rate_limit_per_hour: fc.constantFrom(999_999, 1_000_000),
      rate_limit_per_day: fc.constant(10_000_000),
      tenant_id: fc.uuid().map((id) => `fuzz-${id}`),
      plan_id: fc.constantFrom('free', 'free', 'no-such-plan'),
    },
  };
}

/** Drafts of requests by every tenant, for each operation. */
export function draftsByOperation(
  api: ApiDocument,
  markers: Readonly<Record<Tenant, string>>,
  pools: Pools,
): fc.Arbitrary<Draft>[] {
  const ids = TENANTS.flatMap((tenant) => pools[tenant].get('orchestrations') ?? []).flat();
  const byTenant = TENANTS.map((tenant) => {
    const source = sourceOf(markers[tenant], ids);
    return {
      tenant,
      byOperation: api.operations.map((operation) => draftsOf(api, operation, tenant, source)),
    };
  });
  return api.operations.map(({ permission }, at) => {
    const isPlatforms = permission === 'platform:operate';
    return fc.oneof(
      ...byTenant.flatMap(({ tenant, byOperation }) => {
        const arbitrary = byOperation[at];
        const weight = isPlatforms === (tenant === 'platform') ? 8 : 1;
        return arbitrary === undefined ? [] : [{ weight, arbitrary }];
      }),
    );
  });
}

function draftsOf(
  api: ApiDocument,
  operation: Operation,
  tenant: Tenant,
  source: ValueSource,
): fc.Arbitrary<Draft> {
  const tenants = { own: tenant, other: OTHER[tenant] };
  const body = bodyOf(api, operation, source);
  const payload =
    body === undefined
      ? fc.constant(undefined)
      : fc.tuple(body, mutations).map(([value, mutation]) => mutate(value, mutation, tenants));
  return fc.record({
    operation: fc.constant(operation),
    tenant: fc.constant(tenant),
    params: fc.tuple(...parametersOf(operation, 'path').map((parameter) => paramOf(parameter, source))),
    query: queryOf(operation, source, tenants.other),
    headers: headersOf(tenants.other),
    payload,
  });
}

const parametersOf = (operation: Operation, where: Parameter['in']): Parameter[] =>
  operation.parameters.filter((parameter) => parameter.in === where);

/** A batch's schema allows any items, since each is checked alone. Items are the bodies of the single route. */
function bodyOf(
  api: ApiDocument,
  operation: Operation,
  source: ValueSource,
): fc.Arbitrary<unknown> | undefined {
  if (operation.body === undefined) return undefined;
  const single = operation.id.endsWith('-batch-create')
    ? api.operations.find(({ id }) => id === operation.id.replace('-batch', ''))
    : undefined;
  if (single?.body === undefined) return valuesOf(operation.body, source);
  const item = fc
    .tuple(
      valuesOf(single.body, source),
      fc.option(fc.constantFrom('k-1', 'k-2', '', '"'), { nil: undefined }),
      fc.nat(9),
    )
    .map(([value, key, odd]): unknown => {
      if (odd === 0) return { odd: true };
      return key === undefined ? value : { ...(value as Json), idempotency_key: key };
    });
  return fc.array(item, { minLength: 1, maxLength: 5 }).map((items) => ({ items }));
}

function paramOf(parameter: Parameter, source: ValueSource): fc.Arbitrary<Draft['params'][number]> {
  return fc.record({
    from: fc.oneof(
      { weight: 6, arbitrary: fc.constant('own' as const) },
      { weight: 2, arbitrary: fc.constant('other' as const) },
      { weight: 2, arbitrary: fc.constant('given' as const) },
    ),
    at: fc.nat({ max: 10_000 }),
    given: fc.oneof(valuesOf(parameter.schema, source).map(String), source.strings),
  });
}

function queryOf(
  operation: Operation,
  source: ValueSource,
  other: Tenant,
): fc.Arbitrary<(readonly [string, string])[]> {
  const known = parametersOf(operation, 'query').map(({ name, schema }) =>
    fc
      .oneof(valuesOf(schema, source), source.strings, anything(source))
      .map((value) => [name, textOf(value)] as const),
  );
  const odd = fc.constantFrom(
    ['tenant_id', other] as const,
    ['colour', 'red'] as const,
    ['cursor', 'AAAA'] as const,
  );
  const one = fc.oneof(...known.map((arbitrary) => ({ weight: 3, arbitrary })), {
    weight: 1,
    arbitrary: odd,
  });
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant<(readonly [string, string])[]>([]) },
    { weight: 1, arbitrary: fc.array(one, { minLength: 1, maxLength: 3 }) },
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function headersOf(other: Tenant): fc.Arbitrary<Record<string, string>> {
  const some = (values: [string, ...string[]], weight: number) =>
    fc.oneof(
      { weight: 100 - weight, arbitrary: fc.constant(undefined) },
      { weight, arbitrary: fc.constantFrom(...values) },
    );
  return fc
    .record({
      'idempotency-key': some(['one', '"one"', 'two', 'three', '"', 'x'.repeat(300)], 25),
      'if-match': some(['*', '"1"', '"2"', 'W/"1"', 'nonsense'], 60),
      'if-none-match': some(['*', '"1"', 'nonsense,'], 20),
      'content-type': some(['text/plain', 'application/json;charset=utf-8', 'multipart/form-data'], 5),
      'x-tenant-id': some([other], 4),
      'x-forwarded-for': some(['1.2.3.4', '[::1]:80', 'unknown', '::::'], 20),
      traceparent: some(['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '00-x-y-z', ''], 20),
      'user-agent': some(['fuzz', 'ÿ'.repeat(2_000)], 20),
      accept: some(['text/html', 'application/xml'], 10),
    })
    .map((headers) =>
      Object.fromEntries(Object.entries(headers).filter((entry) => entry[1] !== undefined)),
    ) as fc.Arbitrary<Record<string, string>>;
}

/** The collection of a path's last parameter: the path before it, for example `services/{}/milestones`. */
export function collectionOf(path: string): string {
  const before = path.slice('/api/v1/'.length, Math.max(0, path.lastIndexOf('/{')));
  return before.replace(/\{\w+\}/g, '{}');
}

/** The ids in the path of an existing row: the tenant's own, another tenant's, or the platform's. */
function knownIds({ operation, tenant, params }: Draft, collection: string, pools: Pools): readonly string[] {
  const last = params.at(-1);
  if (last === undefined) return [];
  const owner = last.from === 'other' ? OTHER[tenant] : tenant;
  const rows = pools[owner].get(collection) ?? pools.platform.get(collection) ?? [];
  const ids = rows[last.at % Math.max(1, rows.length)] ?? [];
  // Lineage names a row by its kind and its own id.
  return operation.path.startsWith(LINEAGE) ? ['', ...ids.slice(-1)] : ids;
}

const LINEAGE = '/api/v1/lineage/';
const KINDS: Readonly<Record<string, string>> = {
  orchestration: 'orchestrations',
  mapping: 'mappings',
  record: 'records',
  analysis: 'analyses',
};

/** Puts known ids into a draft's path. */
export function readyToSend(draft: Draft, pools: Pools): FuzzRequest {
  const { operation, tenant } = draft;
  const kind = operation.path.startsWith(LINEAGE) ? draft.params[0]?.given : undefined;
  const collection = kind === undefined ? collectionOf(operation.path) : (KINDS[kind] ?? '');
  const ids = knownIds(draft, collection, pools);
  let path = operation.path;
  parametersOf(operation, 'path').forEach(({ name }, n) => {
    const param = draft.params[n];
    if (param === undefined) return;
    const known = param.from === 'given' ? undefined : ids[n];
    path = path.replace(`{${name}}`, pathPart(known === undefined || known === '' ? param.given : known));
  });
  const query = draft.query.map(([name, value]) => `${pathPart(name)}=${pathPart(value)}`).join('&');
  const headers = { ...draft.headers };
  return {
    operation,
    tenant,
    path: query === '' ? path : `${path}?${query}`,
    headers,
    payload: operation.method === 'GET' ? undefined : draft.payload,
  };
}

/** A value as one part of a path. Characters that a URL cannot have are left out; `.` alone is not a part. */
function pathPart(value: string): string {
  const text = encodeURIComponent(Buffer.from(value).toString());
  return text === '' || text === '.' || text === '..' ? '%20' : text;
}
