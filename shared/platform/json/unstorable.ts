import { findInJson } from './walk.ts';

/** Deeper than any contract. Deeper nesting is an attack on recursive code. */
export const DEPTH_MAX = 40;

/** Why a value cannot be kept, and where. */
export interface UnstorableFault {
  readonly pointer: string;
  readonly detail: string;
}

/** Both are fast for texts that have neither: no pattern is run over them. */
function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/**
 * The first thing in a parsed JSON value that cannot be kept as it is; undefined for ordinary values. That is: a NUL or half
 * a surrogate pair, which PostgreSQL's text cannot hold; a number out of a double's range, which JSON can spell (`1e999`);
 * nesting deeper than {@link DEPTH_MAX}; and a member named `__proto__`, which assignments in JavaScript drop silently.
 */
export function findUnstorable(value: unknown): UnstorableFault | undefined {
  return findInJson(value, (member, place) => {
    const { name } = place;
    if (name === '__proto__') return { pointer: place.pointer, detail: 'is a name that is not allowed' };
    if (name !== undefined && !isStorableText(name))
      return { pointer: place.container, detail: 'has a name that holds a NUL or half a surrogate pair' };
    const detail = faultOfValue(member, place.depth);
    return detail === undefined ? undefined : { pointer: place.pointer, detail };
  });
}

function faultOfValue(value: unknown, depth: number): string | undefined {
  if (typeof value === 'string')
    return isStorableText(value) ? undefined : 'holds a NUL or half a surrogate pair';
  if (typeof value === 'number')
    return Number.isFinite(value) ? undefined : 'is beyond the range of a number';
  const isContainer = typeof value === 'object' && value !== null;
  return isContainer && depth >= DEPTH_MAX ? `is nested deeper than ${DEPTH_MAX} levels` : undefined;
}
