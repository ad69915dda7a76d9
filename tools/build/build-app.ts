import { copyFile, mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';

const ROOT = path.join(import.meta.dirname, '../..');

/** This API has English messages only. zod's messages in fifty languages would be a third of the bundle. */
const oneLanguage: Plugin = {
  name: 'one-language',
  setup(builder) {
    builder.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: `export { default as en } from './en.js';`,
    }));
  },
};

/**
 * Builds a deployment into `folder`/dist: main.js, which registers the functions of the module `entry`, and a chunk for each
 * heavy SDK, which is loaded at its first use. The libraries are unchanged. `@azure/functions-core` is not bundled, because
 * Azure's worker provides it.
 * @throws the error of esbuild.
 */
export async function buildDeployment(folder: string, entry: string): Promise<void> {
  const dist = path.join(path.resolve(folder), 'dist');
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist, { recursive: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: { main: path.resolve(ROOT, entry) },
    outdir: dist,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    // Prefers the SDKs' ES modules: a dynamic import then has their named exports.
    mainFields: ['module', 'main'],
    target: 'node20',
    sourcemap: true,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    // `debug` takes supports-color if it is there, as it is where the development packages are installed. A build must not
    // depend on that.
    external: ['@azure/functions-core', 'supports-color'],
    // Binaries lie beside the chunk that loads them. npm installs those of the machine's own system only.
    loader: { '.node': 'copy' },
    // Bundled CommonJS needs `require` for Node's own modules and for the worker's core module.
    banner: {
      js: `import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);`,
    },
    logLevel: 'warning',
    plugins: [oneLanguage],
  });
  const require = createRequire(import.meta.url);
  await copyFile(
    require.resolve('@scalar/api-reference').replace(/dist\/.*$/, 'dist/browser/standalone.js'),
    path.join(dist, 'scalar.js'),
  );
}
