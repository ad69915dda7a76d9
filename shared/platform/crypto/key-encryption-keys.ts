import { SingleFlightCache } from '../cache/single-flight-cache.ts';
import type { KeyVersions } from '../config/key-versions.ts';
import type { Settings } from '../config/settings.ts';

/** Versions of the key-encryption key, 32 bytes each. `current` wraps new data keys. */
export interface KeyEncryptionKeys {
  current(): Promise<KeyVersion>;
  /** @throws Error when there is no such version. */
  version(version: string): Promise<Uint8Array>;
}

/** The keys of a local stack, from the setting. */
function keysOfSetting({ current, versions }: KeyVersions): KeyEncryptionKeys {
  const find = (version: string): Uint8Array => {
    const key = versions.get(version);
    if (key === undefined) throw new Error(`no version ${version} of the key-encryption key`);
    return key;
  };
  return {
    current: () => Promise.resolve({ version: current, key: find(current) }),
    version: (version) => Promise.resolve(find(version)),
  };
}

/** How long the newest version counts as current. A rotation takes effect within this time. */
const CURRENT_VERSION_TTL_MS = 10 * 60_000;
/** The most versions in memory, 32 bytes each. A version's key never changes. */
const VERSIONS_MAX = 1_000;

/** One version of the key-encryption key. */
export interface KeyVersion {
  readonly version: string;
  readonly key: Uint8Array;
}

/** Caches the keys that `read` reads, by version or the newest one, in this process. */
export function rememberVersions(read: (version?: string) => Promise<KeyVersion>): KeyEncryptionKeys {
  const versions = new SingleFlightCache<KeyVersion>({ ttlMs: Infinity, max: VERSIONS_MAX });
  const newest = new SingleFlightCache<KeyVersion>({ ttlMs: CURRENT_VERSION_TTL_MS, max: 1 });
  return {
    current: async () => newest.find('newest', () => read()),
    version: async (version) => (await versions.find(version, () => read(version))).key,
  };
}

/** Reads a key from a vault's secret. @throws Error if it is not a key; what the vault's client throws. */
async function readVault(vaultUrl: string, secretName: string, version?: string): Promise<KeyVersion> {
  const [{ SecretClient }, { DefaultAzureCredential }] = await Promise.all([
    import('@azure/keyvault-secrets'),
    import('@azure/identity'),
  ]);
  const client = new SecretClient(vaultUrl, new DefaultAzureCredential());
  const secret = await client.getSecret(secretName, version === undefined ? {} : { version });
  const key = Buffer.from(secret.value ?? '', 'base64');
  const found = secret.properties.version;
  if (key.length !== 32 || found === undefined)
    throw new Error(`the secret ${secretName} is not 32 bytes of base64`);
  return { version: found, key };
}

/** Opens the key-encryption key of the settings: versions of a Key Vault secret, or those of a local stack. */
export function openKeyEncryptionKeys(settings: Settings): KeyEncryptionKeys {
  const { KEY_VAULT_URL: vaultUrl, KEY_ENCRYPTION_SECRET_NAME: secretName } = settings;
  if (vaultUrl !== undefined) return rememberVersions((version) => readVault(vaultUrl, secretName, version));
  if (settings.KEY_ENCRYPTION_KEYS !== undefined) return keysOfSetting(settings.KEY_ENCRYPTION_KEYS);
  throw new Error('no key-encryption key is configured');
}
