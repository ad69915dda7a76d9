import type { TokenCredential } from '@azure/identity';
import { performance } from 'node:perf_hooks';
import { SingleFlightCache } from '../cache/single-flight-cache.ts';
import type { KeyVersions } from '../config/key-versions.ts';
import type { Settings } from '../config/settings.ts';
import { errorFields, log } from '../log/log.ts';
import { KeyUnavailable } from './key-unavailable.ts';
import type { KeyVersion, ListedVersion } from './key-version.ts';
import { VaultSecret } from './vault-secret.ts';

/** Where the versions come from. */
export interface KeySource {
  /** Reads a version, or the newest one. */
  readonly read: (version?: string) => Promise<KeyVersion>;
  readonly list: () => Promise<readonly ListedVersion[]>;
  /** The vault's host; null for the setting. */
  readonly vault: string | null;
  readonly secret: string;
}

/** Versions of the key-encryption key, 32 bytes each. */
export interface KeyEncryptionKeys {
  /** Where they are. */
  readonly place: { readonly vault: string | null; readonly secret: string };
  /**
   * The version that wraps new data keys. While the vault is away, it is the last known one.
   * @throws KeyUnavailable in a process that never read it.
   */
  current(): Promise<KeyVersion>;
  /** The newest version as the vault says now. @throws KeyUnavailable, also if an older one is in memory. */
  newest(): Promise<KeyVersion>;
  /** @throws KeyUnavailable when there is no such version, or it cannot be read. */
  version(version: string): Promise<Uint8Array>;
  /** All versions of the source. @throws KeyUnavailable */
  list(): Promise<readonly ListedVersion[]>;
  /** @throws KeyUnavailable if the last question for the newest version failed, also while the last known one is used. */
  probe(): Promise<void>;
}

/** How long the newest version counts as current. A rotation takes effect within this time. */
export const CURRENT_VERSION_TTL_MS = 10 * 60_000;
/** How soon the vault is asked again after it did not answer. Until then, nobody waits for it. */
const ASK_AGAIN_MS = 30_000;
/** How long one caller waits for the vault while there is a last known version to go on with. */
const WAIT_MS = 2_000;
/** The most versions in memory, 32 bytes each. A version's key never changes. */
const VERSIONS_MAX = 1_000;

/** The newest version, asked for again from time to time, and the last known one while there is no answer. */
class NewestVersion {
  readonly #read: () => Promise<KeyVersion>;
  #known: KeyVersion | undefined;
  #until = 0;
  #asking: Promise<KeyVersion> | undefined;
  /** Why the last question failed. */
  fault: Error | undefined;

  constructor(read: () => Promise<KeyVersion>) {
    this.#read = read;
  }

  async find(): Promise<KeyVersion> {
    const known = this.#known;
    if (known === undefined) return this.ask();
    if (this.#until > performance.now()) return known;
    const asked = this.ask().catch(() => known);
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise<KeyVersion>((resolve) => {
      timer = setTimeout(() => resolve(known), WAIT_MS);
    });
    return Promise.race([asked, waited]).finally(() => clearTimeout(timer));
  }

  ask(): Promise<KeyVersion> {
    this.#asking ??= this.#askOnce().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #askOnce(): Promise<KeyVersion> {
    const start = performance.now();
    // Others go on meanwhile with what is known.
    this.#until = start + ASK_AGAIN_MS;
    try {
      const found = await this.#read();
      this.#until = start + CURRENT_VERSION_TTL_MS;
      this.#known = found;
      this.fault = undefined;
      return found;
    } catch (error) {
      this.fault = error instanceof Error ? error : new Error('the newest version was not read');
      log.warn('key-version-not-read', {
        going_on_with: this.#known?.version ?? null,
        ...errorFields(error),
        ...(error instanceof KeyUnavailable ? { reason: error.message } : {}),
      });
      throw error;
    }
  }
}

/** Caches the keys of a source, by version or the newest one, in this process. */
export function rememberVersions(
  read: KeySource['read'],
  rest: Omit<KeySource, 'read'> = { list: () => Promise.resolve([]), vault: null, secret: '' },
): KeyEncryptionKeys {
  const versions = new SingleFlightCache<KeyVersion>({ ttlMs: Infinity, max: VERSIONS_MAX });
  const newest = new NewestVersion(async () => {
    const found = await read();
    // What this process wraps with it, it can open without another question.
    await versions.find(found.version, () => Promise.resolve(found));
    return found;
  });
  return {
    place: { vault: rest.vault, secret: rest.secret },
    current: () => newest.find(),
    newest: () => newest.ask(),
    version: async (version) => (await versions.find(version, () => read(version))).key,
    list: rest.list,
    async probe() {
      await newest.find();
      if (newest.fault !== undefined) throw newest.fault;
    },
  };
}

/** The name of the setting with the keys of a local stack. */
const SETTING = 'KEY_ENCRYPTION_KEYS';

/** The keys of a local stack, from the setting. */
function keysOfSetting({ current, versions }: KeyVersions): KeyEncryptionKeys {
  const find = (version: string): Uint8Array => {
    const key = versions.get(version);
    if (key === undefined) throw new Error(`no version ${version} of the key-encryption key`);
    return key;
  };
  const newest = () => Promise.resolve({ version: current, key: find(current) });
  return {
    place: { vault: null, secret: SETTING },
    current: newest,
    newest,
    version: (version) => Promise.resolve(find(version)),
    list: () =>
      Promise.resolve(
        [...versions.keys()].map((version) => ({ version, enabled: true, createdAt: null, expiresAt: null })),
      ),
    probe: () => Promise.resolve(),
  };
}

/**
 * Opens the key-encryption key of the settings: versions of a Key Vault secret, or those of a local stack. `credential`: instead of
 * the process's identity.
 */
export function openKeyEncryptionKeys(
  settings: Settings,
  credential?: () => Promise<TokenCredential>,
): KeyEncryptionKeys {
  const { KEY_VAULT_URL: vaultUrl, KEY_ENCRYPTION_SECRET_NAME: secretName } = settings;
  if (vaultUrl !== undefined) {
    const secret = new VaultSecret({
      vaultUrl,
      secretName,
      extraCa: settings.EXTRA_CA_CERTS,
      ...(credential === undefined ? {} : { credential }),
    });
    return rememberVersions((version) => secret.read(version), {
      list: () => secret.list(),
      vault: secret.vault,
      secret: secretName,
    });
  }
  if (settings.KEY_ENCRYPTION_KEYS !== undefined) return keysOfSetting(settings.KEY_ENCRYPTION_KEYS);
  throw new Error('no key-encryption key is configured');
}
