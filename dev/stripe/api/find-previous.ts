import { isDeepStrictEqual } from 'node:util';
import { isDecimal } from '../objects/kinds.ts';

/** A hash, whose fields are compared one by one. */
export function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isDecimal(value);
}

/** What was in place of all that differs; hashes are compared field by field, and what was not there was null. */
export function findPrevious(before: object, after: object): Record<string, unknown> {
  const previous: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const was: unknown = Reflect.get(before, name);
    const is: unknown = Reflect.get(after, name);
    if (isDeepStrictEqual(was, is)) continue;
    previous[name] = isPlain(was) && isPlain(is) ? findPrevious(was, is) : (was ?? null);
  }
  return previous;
}
