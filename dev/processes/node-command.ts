import { createRequire } from 'node:module';
import path from 'node:path';

/**
 * A Node executable that can run this repository's TypeScript directly. Usually the running one; if that is too old to strip
 * types, the one of the development dependency `node`.
 */
export function findTypeScriptNode(): string {
  if (process.features.typescript) {
    return process.execPath;
  }
  const manifest = createRequire(import.meta.url).resolve('node/package.json');
  return path.join(path.dirname(manifest), 'bin', 'node');
}
