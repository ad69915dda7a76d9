import qs from 'qs';
import { invalidRequest } from './stripe-error.ts';

const MAX_DEPTH = 10;
const MAX_PARAMETERS = 5000;

/** Reads `a[b][0]=c`, of a body or a query. Values are strings; the route's schema turns them into what they mean. */
export function parseForm(text: string): Record<string, unknown> {
  try {
    return qs.parse(text, {
      allowPrototypes: true,
      arrayLimit: MAX_PARAMETERS,
      depth: MAX_DEPTH,
      parameterLimit: MAX_PARAMETERS,
      plainObjects: true,
      strictDepth: true,
      throwOnLimitExceeded: true,
    });
  } catch {
    throw invalidRequest('Invalid request: the parameters are nested too deeply or too many.');
  }
}

/** `items[0][price]`, as clients and errors write a way into the parameters. */
export function writeParam(way: readonly PropertyKey[]): string {
  const [first = '', ...rest] = way.map(String);
  return first + rest.map((step) => `[${step}]`).join('');
}

/** What a way leads to in parsed parameters, undefined where it leads nowhere. */
export function readParam(params: unknown, way: readonly PropertyKey[]): unknown {
  let value = params;
  for (const step of way) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}
