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

/** The tags of an `If-Match` or `If-None-Match` header (RFC 9110 §13.1); `*` as it is; undefined for neither. */
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

/** Says whether a version is one that `If-Match` allows; strong comparison, so a weak tag allows none. */
export type VersionCheck = (version: number) => boolean;

/**
 * Reads an `If-Match` that may be left out: then every version is allowed.
 * @throws Problem 400 for what is neither `*` nor a list of entity tags.
 */
export function readIfMatch(header: string | null): VersionCheck {
  if (header === null) return () => true;
  const tags = readTags(header);
  if (tags === undefined) throw invalid('must be * or entity tags, e.g. "3"');
  if (tags === '*') return () => true;
  return (version) => tags.some((tag) => !tag.weak && tag.text === etagOf(version));
}

/**
 * Reads an `If-Match` without which nothing is replaced: a client that has not read it would overwrite another's change.
 * @throws Problem 400 without the header or for a malformed one.
 */
export function requireIfMatch(header: string | null): VersionCheck {
  if (header === null)
    throw invalid('is required: send the ETag that was read, or * to overwrite any version');
  return readIfMatch(header);
}

/** Whether `If-None-Match` names the entity tag; weak comparison. A malformed header names nothing. */
export function namesTag(ifNoneMatch: string | null, etag: string): boolean {
  if (ifNoneMatch === null) return false;
  const tags = readTags(ifNoneMatch);
  return tags === '*' || (tags?.some((tag) => tag.text === etag) ?? false);
}

/** Whether `If-None-Match` names the version, so that 304 is the answer. */
export function isNotModified(ifNoneMatch: string | null, version: number): boolean {
  return namesTag(ifNoneMatch, etagOf(version));
}

/** The refusal of a change to a version that is not the present one. */
export function versionConflict(): Problem {
  return new Problem('PRECONDITION_FAILED', {
    detail: 'It was changed since the version that If-Match names was read: read it again.',
  });
}
