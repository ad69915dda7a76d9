import { copyFile, mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type BuildOptions, type Plugin } from 'esbuild';
import type { FunctionDescription, Registration } from '../../shared/platform/http/library/registrations.ts';
import { lighterLibrary } from './lighter-library.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const MODULES = path.join(ROOT, 'node_modules');
const LIBRARY = path.join(MODULES, '@azure/functions/src');
const REGISTRATIONS = path.join(ROOT, 'shared/platform/http/library/registrations.ts');

/** A module of this text, under a name of its own. */
function virtualEntry(contents: string): Plugin {
  return {
    name: 'virtual-entry',
    setup(builder) {
      builder.onResolve({ filter: /^virtual-entry$/ }, () => ({ path: 'entry', namespace: 'virtual' }));
      builder.onLoad({ filter: /^entry$/, namespace: 'virtual' }, () => ({ contents, resolveDir: ROOT }));
    },
  };
}

/** zod brings its messages in fifty languages, a third of the bundle; this API speaks one. */
const oneLanguage: Plugin = {
  name: 'one-language',
  setup(builder) {
    builder.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: `export { default as en } from './en.js';`,
    }));
  },
};

const COMMON: BuildOptions = {
  absWorkingDir: ROOT,
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
  minifyWhitespace: true,
  legalComments: 'none',
  external: ['@azure/functions-core'],
  // Bundled CommonJS asks for Node's own modules, and for the worker's core, through `require`.
  banner: {
    js: `import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);`,
  },
  logLevel: 'warning',
};

/** Builds the app's own code into dist/app.js and the chunks that load when first used. Answers its functions. */
async function buildCode(entry: string, dist: string): Promise<FunctionDescription[]> {
  await build({
    ...COMMON,
    entryPoints: { app: 'virtual-entry' },
    outdir: dist,
    alias: { '@azure/functions': REGISTRATIONS },
    plugins: [
      virtualEntry(`import '${path.resolve(entry)}'; export { registrations } from '${REGISTRATIONS}';`),
      oneLanguage,
    ],
  });
  const { registrations } = (await import(pathToFileURL(path.join(dist, 'app.js')).href)) as {
    registrations: readonly Registration[];
  };
  return registrations.map(({ kind, name, options }) => ({ kind, name, options }));
}

/** Builds dist/main.js: the library, the functions' descriptions, and the way to their code. */
async function buildEntry(functions: readonly FunctionDescription[], dist: string): Promise<void> {
  await build({
    ...COMMON,
    entryPoints: { main: 'virtual-entry' },
    outdir: dist,
    alias: {
      // The library as published is compiled down to generators and WeakMaps, which cost each request three times its
      // sources' time; the package ships those too. Its base package's .mjs lacks a named export, its .js does not.
      '@azure/functions': path.join(LIBRARY, 'index.ts'),
      '@azure/functions-extensions-base': path.join(
        MODULES,
        '@azure/functions-extensions-base/dist/azure-functions-extensions-base.js',
      ),
    },
    plugins: [
      virtualEntry(`
        import { app } from '@azure/functions';
        import { registerLazily } from '${REGISTRATIONS}';
        // As this module was addressed: a host that loads an app twice gets its code twice.
        const code = new URL('./app.js' + new URL(import.meta.url).search, import.meta.url).href;
        registerLazily(app, ${JSON.stringify(functions)}, async () => (await import(code)).registrations);`),
      lighterLibrary(LIBRARY, path.join(ROOT, 'shared/platform/http/library')),
    ],
  });
}

/**
 * Builds a deployment into `folder`/dist: main.js, which registers the functions that the module `entry` registers, and
 * app.js with their code, loaded when the first of them is called. `@azure/functions-core` stays outside, since the worker
 * provides it. The app is loaded once to see what it registers, so that one that does not load is not built.
 * @throws what esbuild or the loading app throws.
 */
export async function buildDeployment(folder: string, entry: string): Promise<void> {
  const dist = path.join(path.resolve(folder), 'dist');
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist, { recursive: true });
  await buildEntry(await buildCode(path.resolve(ROOT, entry), dist), dist);
  const require = createRequire(import.meta.url);
  await copyFile(
    require.resolve('@scalar/api-reference').replace(/dist\/.*$/, 'dist/browser/standalone.js'),
    path.join(dist, 'scalar.js'),
  );
}
