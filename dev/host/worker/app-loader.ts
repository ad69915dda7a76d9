import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { activateRegistry, closeRegistry, type AppRegistry } from './core-module.ts';
import type { ProgrammingModel } from '../core-types.ts';

/** An app whose functions are registered. Its start hooks have not run yet. */
export interface LoadedApp {
  readonly registry: AppRegistry;
  readonly model: ProgrammingModel;
}

/** The capabilities that Azure's worker tells the library. An app's `app.setup()` can only add to them. */
const WORKER_CAPABILITIES = {
  RawHttpBodyBytes: 'true',
  RpcHttpTriggerMetadataRemoved: 'true',
  RpcHttpBodyOnly: 'true',
  IgnoreEmptyValuedRpcHttpHeaders: 'true',
  UseNullableValueDictionaryForHttp: 'true',
  WorkerStatus: 'true',
  TypedDataCollection: 'true',
  HandlesWorkerTerminateMessage: 'true',
};

const PackageJson = z.looseObject({ main: z.string().min(1) });

/** Registrations go to the active registry, so a process loads one app at a time. */
let loading: Promise<unknown> = Promise.resolve();

const loadedFiles = new Map<string, number>();

function findEntryFile(appDir: string): string {
  const packageFile = join(appDir, 'package.json');
  const parsed = PackageJson.safeParse(JSON.parse(readFileSync(packageFile, 'utf8')));
  if (!parsed.success)
    throw new Error(`${packageFile} has no "main", the file that registers the functions.`);
  const { main } = parsed.data;
  if (main.includes('*'))
    throw new Error(`"main" in ${packageFile} must be one file, not a pattern (${main}).`);
  const file = join(appDir, main);
  if (!existsSync(file)) throw new Error(`${file} does not exist: the app has not been built.`);
  return file;
}

/** Node evaluates a module once per address. An app that is loaded again in this process needs a new address. */
function addressOf(file: string): string {
  const times = loadedFiles.get(file) ?? 0;
  loadedFiles.set(file, times + 1);
  const url = pathToFileURL(file);
  if (times > 0) url.searchParams.set('load', String(times));
  return url.href;
}

async function loadNow(appDir: string, log: AppRegistry['log']): Promise<LoadedApp> {
  const file = findEntryFile(appDir);
  const registry = activateRegistry(log);
  await import(/* @vite-ignore */ addressOf(file));
  const model = closeRegistry(registry);
  const capabilities = await model.getCapabilities?.({ ...WORKER_CAPABILITIES });
  if (capabilities?.['HttpUri'] !== undefined) {
    throw new Error(
      'The app enables HTTP streaming (app.setup): the local functions host does not support it.',
    );
  }
  return { registry, model };
}

/**
 * Loads the app in `appDir` (the file named as `main` in its package.json) into this process and collects what it registers.
 * Rejects with the error that the app throws while it loads, unchanged.
 */
export function loadApp(appDir: string, log: AppRegistry['log']): Promise<LoadedApp> {
  const mine = loading.then(() => loadNow(appDir, log));
  loading = mine.catch(() => undefined);
  return mine;
}
