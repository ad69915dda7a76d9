import { createRequire } from 'node:module';
import path from 'node:path';

/**
 * The Node executable that can run this repository's TypeScript as it is. Usually the running one; where that
 * is too old to strip types, the one that the `node` development dependency brings.
 */
export function findTypeScriptNode(): string {
  if (process.features.typescript) {
    return process.execPath;
  }
  const manifest = createRequire(import.meta.url).resolve('node/package.json');
  return path.join(path.dirname(manifest), 'bin', 'node');
}
