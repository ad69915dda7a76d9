import {
  readSettings,
  SettingsError,
  settingsSchema,
  type SettingFault,
  type Settings,
} from '../../shared/platform/config/settings.ts';
import { findVaultReference, type VaultReference } from './vault-reference.ts';

/** Where settings came from and what can be said of them without using them. */
export interface GivenSettings {
  /** The raw settings, without the unresolved ones. Never shown. */
  readonly raw: Readonly<Record<string, string>>;
  /** The valid ones, with defaults. */
  readonly valid: Partial<Settings>;
  readonly faults: readonly SettingFault[];
  /** Settings that only the Function App can resolve. */
  readonly references: ReadonlyMap<string, VaultReference>;
}

/**
 * Settings that stand in for broken and missing ones, so that one of them does not hide what else is wrong. They lead nowhere, and
 * no check uses them: each asks for the settings that it needs. Where two exclude each other, the app prefers the one that is not here.
 */
const STAND_INS = readSettings({
  DEPLOYMENT_ENVIRONMENT: 'prod',
  CORE_DATABASE_URL: 'postgres://unset@127.0.0.1:9/unset',
  BILLING_DATABASE_URL: 'postgres://unset@127.0.0.1:9/unset',
  ANALYTICS_DATABASE_URL: 'postgres://unset@127.0.0.1:9/unset',
  CORE_CROSS_TENANT_DATABASE_URL: 'postgres://unset@127.0.0.1:9/unset',
  BILLING_CROSS_TENANT_DATABASE_URL: 'postgres://unset@127.0.0.1:9/unset',
  ANALYTICS_CROSS_TENANT_DATABASE_URL: 'postgres://unset@127.0.0.1:9/unset',
  SERVICE_BUS_CONNECTION__fullyQualifiedNamespace: 'unset.invalid',
  BLOB_CONNECTION__blobServiceUri: 'https://unset.invalid',
  API_KEY_PEPPER: 'unset-'.repeat(6),
  KEY_ENCRYPTION_KEYS: JSON.stringify({ unset: Buffer.alloc(32).toString('base64') }),
});

function faultsOf(raw: Readonly<Record<string, string>>): readonly SettingFault[] {
  try {
    readSettings({ ...raw });
    return [];
  } catch (error) {
    if (error instanceof SettingsError) return error.faults;
    throw error;
  }
}

/** Reads settings as the app does, and keeps the valid ones if some are not. Empty values count as unset. */
export function readGiven(values: Readonly<Record<string, string | undefined>>): GivenSettings {
  const references = new Map<string, VaultReference>();
  const raw: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === '') continue;
    const reference = findVaultReference(value);
    if (reference === undefined) raw[name] = value;
    else references.set(name, reference);
  }
  const valid: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(settingsSchema.shape)) {
    const parsed = schema.safeParse(raw[name]);
    if (parsed.success && parsed.data !== undefined) valid[name] = parsed.data;
  }
  return { raw, valid, faults: faultsOf(raw), references };
}

/** Settings with which the app's clients can be opened, whatever is wrong with the given ones. */
export function withStandIns({ valid }: GivenSettings): Settings {
  return { ...STAND_INS, ...valid };
}
