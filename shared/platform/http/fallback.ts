import { Problem } from '../call/problem.ts';

/** A route, as far as it says which requests it takes. */
export interface Route {
  readonly method: string;
  readonly path: string;
}

function matches(template: string, path: string): boolean {
  const pattern = template
    .split('/')
    .map((part) => (part.startsWith('{') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
    .join('/');
  return new RegExp(`^${pattern}/?$`, 'i').test(path);
}

/** The methods that a route takes: HEAD where it takes GET. */
export function methodsOf<M extends string>(route: { readonly method: M }): (M | 'HEAD')[] {
  return route.method === 'GET' ? [route.method, 'HEAD'] : [route.method];
}

/** What to say of a request that no route took: 405 with `Allow` where the path is known with another method, else 404. */
export function fallbackProblem(path: string, routes: readonly Route[]): Problem {
  const below = path.replace(/^\/+api\/+/, '').replace(/^\/+/, '');
  const allowed = [
    ...new Set(routes.filter((route) => matches(route.path, below)).flatMap((route) => methodsOf(route))),
  ];
  if (allowed.length === 0) return new Problem('NOT_FOUND', { detail: 'No route has this path.' });
  return new Problem('METHOD_NOT_ALLOWED', {
    detail: `Use ${allowed.join(' or ')}.`,
    headers: { allow: allowed.join(', ') },
  });
}
