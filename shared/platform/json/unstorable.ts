import { findInJson } from './walk.ts';

/** Deeper than any contract. Deeper nesting is an attack on recursive code. */
const DEPTH_MAX = 40;

/** Why a value cannot be stored, and where. */
export interface UnstorableFault {
  readonly pointer: string;
  readonly detail: string;
}

/** Both checks are fast for valid texts: they run no pattern. */
function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/**
 * The one name that an object cannot hold like others: an assignment to it sets the object's prototype, so the member would
 * be lost without an error. So it is refused.
 */
export const PROTO = '__proto__';
export const PROTO_FAULT = 'is not a name that can be kept';

/** Which checks a value does not need. */
export interface UnstorableOptions {
  /** False if its JSON contains no escape of a NUL or a surrogate. Then none of its texts and names contains one. */
  readonly texts?: boolean;
}

/**
 * Finds the first part of a parsed JSON value that cannot be stored unchanged; undefined for ordinary values. These are: a
 * NUL or a lone surrogate, which PostgreSQL's text cannot store; a number outside a double's range, which JSON can express
 * (`1e999`); nesting deeper than {@link DEPTH_MAX}; and a member named {@link PROTO}.
 */
export function findUnstorable(
  value: unknown,
  { texts = true }: UnstorableOptions = {},
): UnstorableFault | undefined {
  return findInJson(value, (member, place) => {
    const { name } = place;
    if (name === PROTO) return { pointer: place.pointer, detail: PROTO_FAULT };
    if (texts && name !== undefined && !isStorableText(name))
      return { pointer: place.container, detail: 'has a name that holds a NUL or half a surrogate pair' };
    const detail = faultOfValue(member, place.depth, texts);
    return detail === undefined ? undefined : { pointer: place.pointer, detail };
  });
}

function faultOfValue(value: unknown, depth: number, texts: boolean): string | undefined {
  if (typeof value === 'string')
    return texts && !isStorableText(value) ? 'holds a NUL or half a surrogate pair' : undefined;
  if (typeof value === 'number')
    return Number.isFinite(value) ? undefined : 'is beyond the range of a number';
  const isContainer = typeof value === 'object' && value !== null;
  return isContainer && depth >= DEPTH_MAX ? `is nested deeper than ${DEPTH_MAX} levels` : undefined;
}
