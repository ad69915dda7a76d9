import type * as Jose from 'jose';

let loaded: Promise<typeof Jose> | undefined;

/** The library that checks signatures, loaded at the first token: a cold start for a key does not pay for it. */
export function loadJose(): Promise<typeof Jose> {
  loaded ??= import('jose');
  return loaded;
}
