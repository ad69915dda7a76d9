import path from 'node:path';
import type { Plugin } from 'esbuild';

/**
 * Puts our request class and answer conversion around the library's, which make a request and an answer of `fetch`, with
 * streams for bodies, of each call: more than half of what an empty function costs. The library's own still serve all
 * that is not plain. `library` is its sources' folder, `own` that of ours.
 */
export function lighterHttp(library: string, own: string): Plugin {
  const wrapped: Readonly<Record<string, string>> = {
    'http/HttpRequest': `
      import { createStreamRequest, HttpRequest as Original } from '${library}/http/HttpRequest.ts';
      import { lazyRequest } from '${own}/lazy-request.ts';
      export const HttpRequest = lazyRequest(Original);
      export { createStreamRequest };`,
    'converters/toRpcHttp': `
      import { toRpcHttp as convert } from '${library}/converters/toRpcHttp.ts';
      import { enableHttpStream } from '${library}/setup.ts';
      import { plainResponse } from '${own}/plain-response.ts';
      export async function toRpcHttp(invocationId, answer) {
        return (enableHttpStream ? undefined : plainResponse(answer)) ?? convert(invocationId, answer);
      }`,
  };
  return {
    name: 'lighter-http',
    setup(builder) {
      for (const [module, contents] of Object.entries(wrapped)) {
        const filter = new RegExp(`^\\.\\.?/(.*/)?${path.basename(module)}$`);
        builder.onResolve({ filter }, ({ importer, namespace }) =>
          namespace === 'file' && importer.startsWith(library)
            ? { path: module, namespace: 'wrapped' }
            : undefined,
        );
        builder.onLoad({ filter: new RegExp(`^${module}$`), namespace: 'wrapped' }, () => ({
          contents,
          loader: 'js',
          resolveDir: library,
        }));
      }
    },
  };
}
