import { Problem } from '../call/problem.ts';

/** The strong entity tag of a row's version. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

const TAG = /^\s*(W\/)?("[\x21\x23-\x7e\x80-\xff]*")\s*$/;

interface Tag {
  readonly weak: boolean;
  readonly text: string;
}

/** The tags of an `If-Match` or `If-None-Match` header (RFC 9110 §13.1); `*` unchanged; undefined for anything else. */
function readTags(header: string): '*' | readonly Tag[] | undefined {
  if (header.trim() === '*') return '*';
  const tags = header.split(',').map((part): Tag | undefined => {
    const match = TAG.exec(part);
    return match?.[2] === undefined ? undefined : { weak: match[1] !== undefined, text: match[2] };
  });
  return tags.every((tag) => tag !== undefined) ? tags : undefined;
}

function invalid(detail: string): Problem {
  return new Problem('INVALID_REQUEST', { errors: [{ pointer: 'header/If-Match', detail }] });
}

/** Whether `If-Match` allows a version. The comparison is strong, so a weak tag allows none. */
export type VersionCheck = (version: number) => boolean;

/**
 * Reads an optional `If-Match`. Without it, every version is allowed.
 * @throws Problem 400 for anything but `*` or a list of entity tags.
 */
export function readIfMatch(header: string | null): VersionCheck {
  if (header === null) return () => true;
  const tags = readTags(header);
  if (tags === undefined) throw invalid('must be * or entity tags, e.g. "3"');
  if (tags === '*') return () => true;
  return (version) => tags.some((tag) => !tag.weak && tag.text === etagOf(version));
}

/**
 * Reads a required `If-Match`. Without it, a client that has not read a row could overwrite another's change.
 * @throws Problem 400 if the header is missing or malformed.
 */
export function requireIfMatch(header: string | null): VersionCheck {
  if (header === null)
    throw invalid('is required: send the ETag that was read, or * to overwrite any version');
  return readIfMatch(header);
}

/** Whether `If-None-Match` contains the entity tag. The comparison is weak. A malformed header contains nothing. */
export function namesTag(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  const tags = readTags(ifNoneMatch);
  return tags === '*' || (tags?.some((tag) => tag.text === etag) ?? false);
}

/** Whether `If-None-Match` contains the version, so that the answer is 304. */
export function isNotModified(ifNoneMatch: string | null, version: number): boolean {
  return namesTag(ifNoneMatch, etagOf(version));
}

/** The refusal of a change to an old version. */
export function versionConflict(): Problem {
  return new Problem('PRECONDITION_FAILED', {
    detail: 'It was changed after the version in If-Match: read it again.',
  });
}
