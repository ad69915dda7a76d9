import fc from 'fast-check';

/** One way to change a body. `at` chooses the place. */
export interface Mutation {
  readonly kind: 'none' | 'replace' | 'remove' | 'add' | 'other-tenant' | 'own-tenant' | 'text';
  readonly at: number;
  readonly value: unknown;
}

/** Values that most fields refuse. */
const ODD: readonly unknown[] = [
  null,
  true,
  '',
  ' ',
  '\u0000',
  '\ud800',
  'x'.repeat(5_000),
  0,
  -1,
  1.5,
  1e308,
  -1e308,
  Number.MAX_SAFE_INTEGER,
  2 ** 31,
  5e-324,
  [],
  {},
  [[[[[[[[[[]]]]]]]]]],
  { $ne: null },
  "'; drop table tenants; --",
  '../../etc/passwd',
  '{{constructor}}',
];

/** Most bodies are not changed: a body that is refused at once does not test the code behind the validation. */
export const mutations: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.oneof(
    { weight: 9, arbitrary: fc.constant('none' as const) },
    { weight: 3, arbitrary: fc.constant('replace' as const) },
    { weight: 1, arbitrary: fc.constantFrom('remove', 'add', 'other-tenant', 'own-tenant', 'text') },
  ),
  at: fc.nat({ max: 10_000 }),
  value: fc.constantFrom(...ODD),
});

/** Ways to break a JSON text. */
const TEXTS: readonly ((text: string) => string)[] = [
  (text) => text.slice(0, Math.ceil(text.length / 2)),
  (text) => `${text}}`,
  (text) => text.replace(/:("|\d|\{|\[)/, ':1e999,"x":$1'),
  (text) => text.replace('{', '{"a":1,"a":2,'),
  () => '',
  () => '\ufeff{}',
  () => 'NaN',
  (text) => '['.repeat(200) + text + ']'.repeat(200),
];

type Place = { readonly parent: Record<string, unknown> | unknown[]; readonly key: string | number };

function placesOf(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const parent = value as Record<string, unknown> | unknown[];
  const keys = Array.isArray(parent) ? [...parent.keys()] : Object.keys(parent);
  return keys.flatMap((key) => [{ parent, key }, ...placesOf(Reflect.get(parent, key))]);
}

/** The changed text of a body. */
export function mutate(
  body: unknown,
  { kind, at, value }: Mutation,
  tenants: { own: string; other: string },
): string {
  const copy = structuredClone(body);
  const places = placesOf(copy);
  const place = places[at % Math.max(1, places.length)];
  const objects = [copy, ...places.map(({ parent, key }): unknown => Reflect.get(parent, key))].filter(
    (found): found is Record<string, unknown> =>
      typeof found === 'object' && found !== null && !Array.isArray(found),
  );
  const object = objects[at % Math.max(1, objects.length)];
  switch (kind) {
    case 'none':
      break;
    case 'replace':
      if (place !== undefined) Reflect.set(place.parent, place.key, value);
      break;
    case 'remove':
      if (place !== undefined) Reflect.deleteProperty(place.parent, place.key);
      break;
    case 'add':
      if (object !== undefined) object[`unknown${at % 7}`] = value;
      break;
    case 'other-tenant':
      if (object !== undefined) object['tenant_id'] = tenants.other;
      break;
    case 'own-tenant':
      if (object !== undefined) object['tenant_id'] = tenants.own;
      break;
    case 'text':
      return TEXTS[at % TEXTS.length]?.(JSON.stringify(copy)) ?? '';
    default:
      kind satisfies never;
  }
  return JSON.stringify(copy);
}
