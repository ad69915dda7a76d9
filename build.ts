import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { build } from 'esbuild';

/**
 * Builds the deployment: one ESM bundle and the chunks that load when first used. `@azure/functions-core` stays outside,
 * since the Functions worker provides it.
 */
async function buildApp(): Promise<void> {
  await rm('dist', { recursive: true, force: true });
  await mkdir('dist', { recursive: true });
  await build({
    entryPoints: { main: 'functions/main.ts' },
    outdir: 'dist',
    bundle: true,
    // A heavy SDK is a chunk of its own: a cold start does not pay for it.
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    minifySyntax: true,
    legalComments: 'none',
    external: ['@azure/functions-core'],
    // Bundled CommonJS asks for Node's own modules, and for the worker's core, through `require`.
    banner: {
      js: `import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);`,
    },
    logLevel: 'warning',
  });
  const require = createRequire(import.meta.url);
  await copyFile(
    require.resolve('@scalar/api-reference').replace(/dist\/.*$/, 'dist/browser/standalone.js'),
    'dist/scalar.js',
  );
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  await writeFile('dist/version.json', JSON.stringify({ version }));
}

await buildApp();
