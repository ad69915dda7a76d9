import { Problem } from '../call/problem.ts';

/** The parts of a route that select its requests. */
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

/** The methods of a route: HEAD too if it takes GET. */
export function methodsOf<M extends string>(route: { readonly method: M }): (M | 'HEAD')[] {
  return route.method === 'GET' ? [route.method, 'HEAD'] : [route.method];
}

/** The problem for a request without a matching route: 405 with `Allow` if its path has other methods, otherwise 404. */
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
