import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { HostLogLine } from './host-log.ts';
import { startFunctionsHost, type FunctionsHost, type FunctionsHostOptions } from './host.ts';

const here = dirname(fileURLToPath(import.meta.url));

/** How long a test waits for something before it fails. */
const DEADLINE_MS = 15_000;

/** A built app in its own directory. */
export interface FixtureApp {
  readonly dir: string;
  remove(): void;
}

/**
 * Builds `source` and the real `@azure/functions` into an ESM bundle as for deployment, with package.json and host.json
 * beside it. A handler reports to its test with `tell(name, value)`.
 */
export async function buildFixtureApp(source: string, hostJson: object = {}): Promise<FixtureApp> {
  const dir = mkdtempSync(join(tmpdir(), 'functions-host-'));
  mkdirSync(join(dir, 'dist'));
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ type: 'module', main: 'dist/main.js' }));
  writeFileSync(join(dir, 'host.json'), JSON.stringify({ version: '2.0', ...hostJson }));
  const tell = `const tell = (name, value) => (((globalThis.fixtureEvents ??= {})[name] ??= []).push(value));\n`;
  await build({
    stdin: {
      contents: `import { app } from '@azure/functions';\n${tell}${source}`,
      resolveDir: here,
      loader: 'ts',
    },
    outfile: join(dir, 'dist', 'main.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['@azure/functions-core'],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** What handlers of fixture apps reported under `name` since the last {@link clearEvents}. */
export function eventsOf(name: string): unknown[] {
  const holder = globalThis as { fixtureEvents?: Record<string, unknown[]> };
  return holder.fixtureEvents?.[name] ?? [];
}

/** Deletes all reports. */
export function clearEvents(): void {
  (globalThis as { fixtureEvents?: Record<string, unknown[]> }).fixtureEvents = {};
}

/** Resolves when `ready` returns something other than undefined and false; rejects at the deadline. */
export async function until<T>(
  what: string,
  ready: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const value = await ready();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`Did not happen in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A host of a fixture app, and the lines it logged. */
export interface FixtureHost {
  readonly host: FunctionsHost;
  readonly lines: HostLogLine[];
  readonly base: string;
}

/** Starts an app on a free port and collects its log lines. */
export async function startFixture(
  app: FixtureApp,
  options: Omit<FunctionsHostOptions, 'appDir'> = {},
): Promise<FixtureHost> {
  const lines: HostLogLine[] = [];
  const host = await startFunctionsHost({
    port: 0,
    log: (line) => lines.push(line),
    ...options,
    appDir: app.dir,
  });
  return { host, lines, base: `http://127.0.0.1:${host.port}` };
}
