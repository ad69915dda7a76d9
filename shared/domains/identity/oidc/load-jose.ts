let loaded: Promise<typeof import('jose')> | undefined;

/** The library that checks signatures, loaded at the first token: a cold start for a key does not pay for it. */
export function loadJose(): Promise<typeof import('jose')> {
  loaded ??= import('jose');
  return loaded;
}
