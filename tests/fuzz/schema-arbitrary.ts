import fc from 'fast-check';
import type { Json } from '../harness/api-document.ts';

/** The source of values: strings, and values of properties whose rules are not in the schema. */
export interface ValueSource {
  readonly strings: fc.Arbitrary<string>;
  readonly byName: Readonly<Record<string, fc.Arbitrary<unknown>>>;
}

const asJson = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const asNumber = (value: unknown, fallback: number): number => (typeof value === 'number' ? value : fallback);

/** Longer lists would test nothing more. */
const ITEMS_MAX = 4;
/** Random strings have up to this length. A schema's maximum length is a separate case. */
const LENGTH_MAX = 60;

/** Values that a schema allows. `name` is the property's name. */
export function valuesOf(schema: Json, source: ValueSource, name = ''): fc.Arbitrary<unknown> {
  const named = source.byName[name];
  if (named !== undefined) return named;
  if ('const' in schema) return fc.constant(schema['const']);
  if ('enum' in schema) return fc.constantFrom(...asList(schema['enum']));
  const options = asList(schema['anyOf'] ?? schema['oneOf']);
  if (options.length > 0) return fc.oneof(...options.map((option) => valuesOf(asJson(option), source)));
  const { type } = schema;
  if (Array.isArray(type))
    return fc.oneof(...type.map((one) => valuesOf({ ...schema, type: one as unknown }, source)));
  switch (type) {
    case 'string':
      return stringsOf(schema, source);
    case 'integer':
      return fc.oneof(integersOf(schema), fc.constantFrom(...limitsOf(schema)));
    case 'number':
      return fc.oneof(numbersOf(schema), fc.constantFrom(...limitsOf(schema)));
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(valuesOf(asJson(schema['items']), source), {
        minLength: asNumber(schema['minItems'], 0),
        maxLength: Math.max(
          asNumber(schema['minItems'], 0),
          Math.min(ITEMS_MAX, asNumber(schema['maxItems'], ITEMS_MAX)),
        ),
      });
    case 'object':
      return objectsOf(schema, source);
    default:
      return anything(source);
  }
}

/** Any JSON with little depth. */
export function anything({ strings }: ValueSource): fc.Arbitrary<unknown> {
  const leaf = fc.oneof(
    strings,
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
  );
  return fc.oneof(
    { weight: 3, arbitrary: leaf },
    { weight: 1, arbitrary: fc.array(leaf, { maxLength: ITEMS_MAX }) },
    {
      weight: 1,
      arbitrary: fc.dictionary(strings, fc.oneof(leaf, fc.dictionary(strings, leaf, { maxKeys: 2 })), {
        maxKeys: ITEMS_MAX,
      }),
    },
  );
}

function objectsOf(schema: Json, source: ValueSource): fc.Arbitrary<unknown> {
  const properties = Object.entries(asJson(schema['properties']));
  if (properties.length === 0) {
    const values = valuesOf(asJson(schema['additionalProperties']), source);
    const names = valuesOf({ type: 'string', ...asJson(schema['propertyNames']) }, source).map(String);
    return fc.dictionary(names, values, { maxKeys: ITEMS_MAX });
  }
  const required = asList(schema['required']).map(String);
  return fc.record(
    Object.fromEntries(properties.map(([name, value]) => [name, valuesOf(asJson(value), source, name)])),
    {
      requiredKeys: required,
    },
  );
}

function stringsOf(schema: Json, { strings }: ValueSource): fc.Arbitrary<string> {
  const minimum = asNumber(schema['minLength'], 0);
  const maximum = asNumber(schema['maxLength'], LENGTH_MAX);
  switch (schema['format']) {
    case 'date-time':
      return instants;
    case 'uuid':
      return fc.uuid();
    case 'uri':
      return fc.webUrl({ validSchemes: ['https', 'http'] });
    default:
  }
  // No filter by length if there is a pattern: a filter that nothing passes would never end.
  if (typeof schema['pattern'] === 'string') return fc.stringMatching(new RegExp(schema['pattern']));
  const fitting = strings.map((text) => text.padEnd(minimum, 'x').slice(0, Math.min(maximum, LENGTH_MAX)));
  const longest = fc
    .constantFrom('x', 'é', '"', '\\')
    .map((letter) => letter.repeat(Math.min(maximum, 2_000)));
  return fc.oneof({ weight: 12, arbitrary: fitting }, { weight: 1, arbitrary: longest });
}

/** Spellings of RFC 3339: fraction digits, offsets, leap days, the limits of the range. */
const instants = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        at: fc.date({ min: new Date('2019-01-01'), max: new Date('2031-01-01'), noInvalidDate: true }),
        zone: fc.constantFrom('Z', '+00:00', '-00:00', '+14:00', '-12:00', '+05:45', '-15:59'),
        digits: fc.constantFrom('', '.1', '.123', '.123456', '.999999999'),
      })
      .map(({ at, zone, digits }) => `${at.toISOString().slice(0, 19)}${digits}${zone}`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '1900-01-01T00:00:00Z',
      '9989-12-31T23:59:59.999999999Z',
      '2024-02-29T23:59:59+14:00',
      '1899-12-31T23:59:59Z',
      '9999-12-31T23:59:59Z',
    ),
  },
);

function integersOf(schema: Json): fc.Arbitrary<number> {
  const min = Math.ceil(asNumber(schema['minimum'], asNumber(schema['exclusiveMinimum'], -1e6)));
  return fc.integer({
    min,
    max: Math.max(min, Math.floor(Math.min(asNumber(schema['maximum'], 1e6), 2 ** 31 - 1))),
  });
}

function numbersOf(schema: Json): fc.Arbitrary<number> {
  const min = asNumber(schema['minimum'], -1e12);
  return fc.double({ min, max: asNumber(schema['maximum'], 1e12), noNaN: true });
}

/** The ends of a number's range, where off-by-one faults are. */
function limitsOf(schema: Json): [number, ...number[]] {
  const min = asNumber(schema['minimum'], 0);
  return [min, asNumber(schema['maximum'], min), min + 1];
}
