/**
 * Runs first in the process of each test file, and makes loading the project's TypeScript cheap. Each process loads some 300 of its
 * files, and Node strips their types every time. Here the first process of a run does it, and the others find the result.
 *
 * It is JavaScript, because to read a `.ts` file, Node would load its compiler.
 */
import { hash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isBuiltin, registerHooks, setSourceMapsSupport, stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

// A file that saw what another one left behind would pass or fail by the order of the files.
if ('complyTestFile' in globalThis) throw new Error('two test files share a process');
Object.assign(globalThis, { complyTestFile: true });

// In the folder of the run (run-folder.ts), whose process has started this one. It goes with the run.
const folder = path.join(tmpdir(), `comply-test-${process.ppid}`, 'stripped');
mkdirSync(folder, { recursive: true });

// Else Node reads the source maps of the built app, some megabytes, for the first error that has a stack.
setSourceMapsSupport(false);

/** @param {string} text */
function strip(text) {
  // Named after the text: a file that changes during a run is not taken for what it was.
  const kept = path.join(folder, hash('sha256', text));
  try {
    return readFileSync(kept, 'utf8');
  } catch {
    const stripped = stripTypeScriptTypes(text);
    // Other processes find the whole file or none.
    const temporary = `${kept}.${process.pid}`;
    writeFileSync(temporary, stripped);
    renameSync(temporary, kept);
    return stripped;
  }
}

registerHooks({
  // Node would search for package.json and links, and Vitest would tell its main process of each import, which its watch mode needs.
  resolve(specifier, context, next) {
    if (process.env['VITEST_MODE'] === 'WATCH') return next(specifier, context);
    if (isBuiltin(specifier)) {
      const url = specifier.startsWith('node:') ? specifier : `node:${specifier}`;
      return { url, format: 'builtin', shortCircuit: true };
    }
    const isOurs = /^\.\.?\/.*\.ts$/.test(specifier) && context.parentURL?.startsWith('file:');
    if (!isOurs) return next(specifier, context);
    return { url: new URL(specifier, context.parentURL).href, format: 'module', shortCircuit: true };
  },
  load(url, context, next) {
    const isOurs = /^file:.*\.ts(\?|$)/.test(url) && !url.includes('/node_modules/');
    if (!isOurs) return next(url, context);
    const [file = url, query] = url.split('?');
    const source = strip(readFileSync(fileURLToPath(file), 'utf8'));
    // Vitest adds a query to a test file's address. Places in stack traces are without it.
    const named = query === undefined ? source : `${source}\n//# sourceURL=${file}`;
    return { format: 'module', source: named, shortCircuit: true };
  },
});
