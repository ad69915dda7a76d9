import { readFileSync } from 'node:fs';
import { z } from 'zod';

const LocalSettings = z.looseObject({
  Values: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  Host: z.looseObject({ LocalHttpPort: z.number().int().min(0).max(65535).optional() }).default({}),
});

/** The content of a `local.settings.json`. */
export interface LocalSettingsFile {
  readonly values: Record<string, string>;
  readonly localHttpPort: number | undefined;
}

/** Reads a `local.settings.json`. Throws when it is missing or invalid. */
export function readLocalSettings(file: string): LocalSettingsFile {
  const parsed = LocalSettings.parse(JSON.parse(readFileSync(file, 'utf8')));
  const values = Object.entries(parsed.Values).map(([name, value]) => [name, String(value)] as const);
  return { values: Object.fromEntries(values), localHttpPort: parsed.Host.LocalHttpPort };
}

/**
 * Sets settings in the environment of this process, where the app reads them. Returns a function that undoes this. With
 * `override` false, values already in the environment stay.
 */
export function applySettings(values: Record<string, string>, override: boolean): () => void {
  const before = new Map<string, string | undefined>();
  for (const [name, value] of Object.entries(values)) {
    if (!override && process.env[name] !== undefined) continue;
    before.set(name, process.env[name]);
    process.env[name] = value;
  }
  return () => {
    for (const [name, value] of before) {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the environment has no other way to unset
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

/** An app setting by name; names ignore case, as in Azure. */
function readSetting(name: string): string | undefined {
  const exact = process.env[name];
  if (exact !== undefined) return exact;
  const wanted = name.toLowerCase();
  const found = Object.keys(process.env).find((key) => key.toLowerCase() === wanted);
  return found === undefined ? undefined : process.env[found];
}

/** Replaces each `%NAME%` by that app setting. Throws, naming `what`, when one is not set. */
export function resolveSettings(text: string, what: string): string {
  return text.replace(/%([^%]+)%/g, (_whole, name: string) => {
    const value = readSetting(name);
    if (value === undefined) throw new Error(`${what}: '%${name}%' does not resolve to an app setting.`);
    return value;
  });
}

/**
 * The connection string of a binding's `connection`: the setting `AzureWebJobs<name>`, else `<name>`. Throws, naming
 * `what`, when neither is set.
 */
export function resolveConnection(name: string, what: string): string {
  const value = readSetting(`AzureWebJobs${name}`) ?? readSetting(name);
  if (!value) throw new Error(`${what}: no app setting '${name}' holds its connection string.`);
  return value;
}

const IS_ON = /^(?:1|true)$/i;

/**
 * Whether a setting disables the function: `AzureWebJobs.<name>.Disabled` is `true` or `1`. On Linux, Azure also accepts
 * underscores instead of dots. A shell drops variables with a dot or a hyphen in their names, and npm runs scripts in a
 * shell. So `AzureWebJobs_records_expire_Disabled` disables `records-expire` too.
 */
export function isDisabledBySetting(functionName: string): boolean {
  const linuxName = `AzureWebJobs_${functionName}_Disabled`;
  const names = [`AzureWebJobs.${functionName}.Disabled`, linuxName, linuxName.replaceAll('-', '_')];
  return names.some((name) => IS_ON.test(readSetting(name) ?? ''));
}

/** Azure's default, 100 MB. */
const DEFAULT_BODY_LIMIT_BYTES = 104_857_600;

/** The longest request body in bytes: Azure's setting `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`. Throws when it is not a number. */
export function readBodyLimit(): number {
  const text = readSetting('FUNCTIONS_REQUEST_BODY_SIZE_LIMIT');
  if (text === undefined || text === '') return DEFAULT_BODY_LIMIT_BYTES;
  const bytes = Number(text);
  if (!Number.isSafeInteger(bytes) || bytes <= 0)
    throw new Error(`FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is not a number of bytes: '${text}'.`);
  return bytes;
}
