import type { KeyVersions } from '../config/key-versions.ts';
import type { Settings } from '../config/settings.ts';

/** Versions of the key-encryption key: 32 bytes each; `current` wraps new data keys. */
export interface KeyEncryptionKeys {
  current(): Promise<{ version: string; key: Uint8Array }>;
  /** @throws Error when there is no such version. */
  version(version: string): Promise<Uint8Array>;
}

/** A local stack's keys, from the setting. */
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

/** How long the newest version is taken for current: a rotation is picked up within this time. */
const CURRENT_VERSION_TTL_MS = 10 * 60_000;

function keysOfVault(vaultUrl: string, secretName: string): KeyEncryptionKeys {
  const known = new Map<string, Uint8Array>();
  let newest: { version: string; readAt: number } | undefined;
  const read = async (version?: string): Promise<{ version: string; key: Uint8Array }> => {
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
    known.set(found, key);
    return { version: found, key };
  };
  return {
    async current() {
      const key = newest === undefined ? undefined : known.get(newest.version);
      if (
        newest !== undefined &&
        key !== undefined &&
        performance.now() - newest.readAt < CURRENT_VERSION_TTL_MS
      ) {
        return { version: newest.version, key };
      }
      const secret = await read();
      newest = { version: secret.version, readAt: performance.now() };
      return secret;
    },
    async version(version) {
      return known.get(version) ?? (await read(version)).key;
    },
  };
}

/** The key-encryption key of these settings: versions of a Key Vault secret, or a local stack's own. */
export function openKeyEncryptionKeys(settings: Settings): KeyEncryptionKeys {
  if (settings.KEY_VAULT_URL !== undefined)
    return keysOfVault(settings.KEY_VAULT_URL, settings.KEY_ENCRYPTION_SECRET_NAME);
  if (settings.KEY_ENCRYPTION_KEYS !== undefined) return keysOfSetting(settings.KEY_ENCRYPTION_KEYS);
  throw new Error('no key-encryption key is configured');
}
