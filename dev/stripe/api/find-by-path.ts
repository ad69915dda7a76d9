interface Declared {
  readonly method: string;
  /** With `{…}` for what differs. */
  readonly path: string;
}

function decode(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

function matchPath(declared: string, path: string): string[] | undefined {
  const [steps, given] = [declared.split('/'), path.split('/')];
  if (steps.length !== given.length) return undefined;
  const ids: string[] = [];
  for (const [index, step] of steps.entries()) {
    const value = decode(given[index] ?? '');
    if (step.startsWith('{') && value !== '') ids.push(value);
    else if (step !== value) return undefined;
  }
  return ids;
}

/** What a request is for, with the ids of its path. Where two fit, the one with fewer ids (`/v1/invoices/upcoming`). */
export function findByPath<T extends Declared>(
  all: readonly T[],
  method: string,
  path: string,
): { found: T; ids: string[] } | undefined {
  const fits = all.flatMap((one) => {
    const ids = one.method === method ? matchPath(one.path, path) : undefined;
    return ids === undefined ? [] : [{ found: one, ids }];
  });
  return fits.sort((a, b) => a.ids.length - b.ids.length)[0];
}
