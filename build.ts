import { copyFile, mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

const LIBRARY = join(import.meta.dirname, 'node_modules/@azure/functions/src');
const OWN = join(import.meta.dirname, 'shared/http/library');

/** The two of the library's modules that are wrapped, and what stands in their place. */
const WRAPPED: Readonly<Record<string, string>> = {
  'http/HttpRequest': `
    import { createStreamRequest, HttpRequest as Original } from '${LIBRARY}/http/HttpRequest.ts';
    import { lazyRequest } from '${OWN}/lazy-request.ts';
    export const HttpRequest = lazyRequest(Original);
    export { createStreamRequest };`,
  'converters/toRpcHttp': `
    import { toRpcHttp as convert } from '${LIBRARY}/converters/toRpcHttp.ts';
    import { enableHttpStream } from '${LIBRARY}/setup.ts';
    import { plainResponse } from '${OWN}/plain-response.ts';
    export async function toRpcHttp(invocationId, answer) {
      return (enableHttpStream ? undefined : plainResponse(answer)) ?? convert(invocationId, answer);
    }`,
};

/**
 * Puts our request class and answer conversion around the library's, which make a request and an answer of `fetch`, with
 * streams for bodies, of each call: more than half of what an empty function costs. The library's own still serve all that
 * is not plain.
 */
const lighterHttp: Plugin = {
  name: 'lighter-http',
  setup(builder) {
    for (const [module, contents] of Object.entries(WRAPPED)) {
      const filter = new RegExp(`\\./${module.split('/').at(-1) ?? ''}$|/${module}$`);
      builder.onResolve({ filter }, ({ importer, namespace }) =>
        namespace === 'file' && importer.startsWith(LIBRARY)
          ? { path: module, namespace: 'wrapped' }
          : undefined,
      );
      builder.onLoad({ filter: new RegExp(`^${module}$`), namespace: 'wrapped' }, () => ({
        contents,
        loader: 'js',
        resolveDir: LIBRARY,
      }));
    }
  },
};

/**
 * Builds the deployment into `folder`/dist: one ESM bundle and the chunks that load when first used. `@azure/functions-core` stays outside,
 * since the Functions worker provides it.
 */
async function buildApp(folder: string): Promise<void> {
  const dist = join(folder, 'dist');
  const modules = join(import.meta.dirname, 'node_modules');
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist, { recursive: true });
  await build({
    entryPoints: { main: 'functions/main.ts' },
    outdir: dist,
    bundle: true,
    // A heavy SDK is a chunk of its own: a cold start does not pay for it.
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    // The SDKs' ES modules where they ship them: a dynamic import then has their named exports.
    mainFields: ['module', 'main'],
    target: 'node20',
    sourcemap: true,
    minifySyntax: true,
    legalComments: 'none',
    external: ['@azure/functions-core'],
    // The library as published is compiled down to generators and WeakMaps, which cost each request three times its
    // sources' time; the package ships those too. Its base package's .mjs lacks a named export, its .js does not.
    alias: {
      '@azure/functions': join(modules, '@azure/functions/src/index.ts'),
      '@azure/functions-extensions-base': join(
        modules,
        '@azure/functions-extensions-base/dist/azure-functions-extensions-base.js',
      ),
    },
    // Bundled CommonJS asks for Node's own modules, and for the worker's core, through `require`.
    banner: {
      js: `import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);`,
    },
    plugins: [lighterHttp],
    logLevel: 'warning',
  });
  const require = createRequire(import.meta.url);
  await copyFile(
    require.resolve('@scalar/api-reference').replace(/dist\/.*$/, 'dist/browser/standalone.js'),
    join(dist, 'scalar.js'),
  );
}

const folder = process.argv[2] ?? '.';
await buildApp(folder);
if (folder !== '.') {
  // An app of its own beside the bundle: the tests' hosts load one that no later build changes under them.
  await Promise.all(['package.json', 'host.json'].map((name) => copyFile(name, join(folder, name))));
}
