import path from 'node:path';
import type { Plugin } from 'esbuild';

/**
 * Puts our own conversions around the library's where those cost most, and leaves to it all that is not plain. Of each
 * HTTP call it makes a request and an answer of `fetch`, with streams for bodies: more than half of what an empty function
 * costs. Each text of a message's metadata it takes for JSON until that throws: a fifth of what a batch of messages costs.
 * `library` is its sources' folder, `own` that of ours.
 */
export function lighterLibrary(library: string, own: string): Plugin {
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
    'converters/fromRpcTypedData': `
      import { fromRpcTypedData as convert } from '${library}/converters/fromRpcTypedData.ts';
      import { textValue } from '${own}/text-value.ts';
      export function fromRpcTypedData(data) {
        if (typeof data?.string === 'string') return textValue(data.string);
        const texts = data?.collectionString?.string;
        return Array.isArray(texts) ? texts.map(textValue) : convert(data);
      }`,
  };
  return {
    name: 'lighter-library',
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
