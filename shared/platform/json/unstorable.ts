import { findInJson } from './walk.ts';

/** Deeper than any contract. Deeper nesting is an attack on recursive code. */
const DEPTH_MAX = 40;

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
 * The one name that an object cannot have as others: an assignment to it sets the object's prototype, so that it is lost
 * somewhere on the way. Refused, since what is lost is not said.
 */
export const PROTO = '__proto__';
export const PROTO_FAULT = 'is not a name that can be kept';

/** What of a value need not be looked at. */
export interface UnstorableOptions {
  /** False where its JSON holds no escape of a NUL or a surrogate: then no text and no name of it does. */
  readonly texts?: boolean;
}

/**
 * The first thing in a parsed JSON value that cannot be kept as it is; undefined for ordinary values. That is: a NUL or half
 * a surrogate pair, which PostgreSQL's text cannot hold; a number out of a double's range, which JSON can spell (`1e999`);
 * nesting deeper than {@link DEPTH_MAX}; and a member named {@link PROTO}.
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
