import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { settingsSchema } from '../../shared/platform/config/settings.ts';
import type { PerDatabase } from '../migrate/databases.ts';
import { readGiven, type GivenSettings } from './given-settings.ts';

/** The settings to examine, and what their source says besides. */
export interface Source {
  /** Where they come from, for the report. */
  readonly name: string;
  readonly given: GivenSettings;
  readonly owners: Partial<PerDatabase<string>>;
  /** The API's address, if the source knows it. */
  readonly url: string | undefined;
}

/** There is nothing to examine. The message is for the person. */
export class NoSettingsError extends Error {
  override name = 'NoSettingsError';
}

const LOCAL = path.join(import.meta.dirname, '../../.local/stack.json');

/** What a file says. */
interface Found {
  readonly settings: Readonly<Record<string, string>>;
  readonly owners?: PerDatabase<string>;
  readonly url?: string;
}

const values = z.record(z.string(), z.string());
/** `local.settings.json`. */
const functionsFile = z.object({ Values: values }).transform(({ Values: settings }): Found => ({ settings }));
/** What `az functionapp config appsettings list` prints. */
const azureList = z
  .array(z.object({ name: z.string(), value: z.string().nullable() }))
  .transform((list): Found => ({
    settings: Object.fromEntries(list.map(({ name, value }): [string, string] => [name, value ?? ''])),
  }));
/** `.local/stack.json` of a running stack. */
const stackFile = z
  .object({
    base_url: z.string(),
    postgres: z.object({ core: z.string(), billing: z.string(), analytics: z.string() }),
    settings: values,
  })
  .transform(({ settings, postgres, base_url: url }): Found => ({ settings, owners: postgres, url }));
/** Names and values. */
const plainFile = values.transform((settings): Found => ({ settings }));

const anyFile = z.union([stackFile, functionsFile, azureList, plainFile]);

/** The connections of the migrator, which alone may read the list of migrations. */
function ownersIn(environment: NodeJS.ProcessEnv): Partial<PerDatabase<string>> {
  const found = {
    core: environment['MIGRATE_CORE_URL'],
    billing: environment['MIGRATE_BILLING_URL'],
    analytics: environment['MIGRATE_ANALYTICS_URL'],
  };
  return Object.fromEntries(
    Object.entries(found).filter(([, url]) => url !== undefined && URL.canParse(url)),
  );
}

/**
 * Reads settings from a file of one of four forms. Where a value is a Key Vault reference, a variable of the environment of that
 * name is its value.
 */
function readFile(file: string, text: string, environment: NodeJS.ProcessEnv): Source {
  let parsed;
  try {
    parsed = anyFile.safeParse(JSON.parse(text));
  } catch {
    throw new NoSettingsError(`${file} is not JSON`);
  }
  if (!parsed.success)
    throw new NoSettingsError(
      `${file} has no settings: give a local.settings.json, a stack.json, the output of az functionapp config appsettings list, or {"NAME": "value", …}`,
    );
  const { settings } = parsed.data;
  const first = readGiven(settings);
  const resolved = Object.fromEntries(
    [...first.references.keys()].flatMap((name) => {
      const value = environment[name];
      return value === undefined || value === '' ? [] : [[name, value]];
    }),
  );
  const given = readGiven({ ...settings, ...resolved });
  const { owners, url } = parsed.data;
  return {
    name: owners === undefined ? `the settings of ${file}` : `the local stack of ${file}`,
    given,
    owners: { ...owners, ...ownersIn(environment) },
    url: url ?? given.valid.API_PUBLIC_URL,
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new NoSettingsError(`${file} cannot be read: ${error instanceof Error ? error.message : ''}`);
  }
}

/** The settings of the environment; undefined if it has none that only this app has. */
function fromEnvironment(environment: NodeJS.ProcessEnv): Source | undefined {
  const names = Object.keys(settingsSchema.shape);
  if (!['DEPLOYMENT_ENVIRONMENT', 'CORE_DATABASE_URL'].some((name) => (environment[name] ?? '') !== ''))
    return undefined;
  const own = Object.fromEntries(
    Object.entries(environment).filter(([name]) => names.includes(name) || name === 'WEBSITE_HOSTNAME'),
  );
  const given = readGiven(own);
  return {
    name: 'the settings of the environment',
    given,
    owners: ownersIn(environment),
    url: given.valid.API_PUBLIC_URL,
  };
}

/**
 * Finds the settings: those of `--settings FILE` (`-`: standard input), of the running local stack with `--local`, or else of the
 * environment, and without any there, of the local stack.
 * @throws NoSettingsError if there are none.
 */
export function findSettings(
  wanted: { readonly file?: string | undefined; readonly local: boolean },
  environment: NodeJS.ProcessEnv,
): Source {
  if (wanted.file !== undefined)
    return readFile(wanted.file === '-' ? 'standard input' : wanted.file, readText(wanted.file), environment);
  if (!wanted.local) {
    const found = fromEnvironment(environment);
    if (found !== undefined) return found;
  }
  if (existsSync(LOCAL)) return readFile('.local/stack.json', readText(LOCAL), environment);
  throw new NoSettingsError(
    wanted.local
      ? 'No local stack runs: npm start'
      : 'There are no settings: set them in the environment, give --settings FILE, start a local stack (npm start), or look from outside with --url https://…',
  );
}
