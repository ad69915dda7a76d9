import { randomBytes } from 'node:crypto';
import { SingleFlightCache } from '../cache/single-flight-cache.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../db/tenant-database.ts';
import { newId } from '../ids/ids.ts';
import type { KeyEncryptionKeys } from './key-encryption-keys.ts';
import { binding, open, seal } from './sealing.ts';

/** A tenant's plain data key. It is only in memory. */
export interface DataKey {
  readonly keyId: string;
  readonly key: Uint8Array;
}

/** The data key was destroyed, because the tenant was erased. What it sealed cannot be opened again. */
export class DataKeyDestroyed extends Error {
  override name = 'DataKeyDestroyed';
}

/** Long enough to save a busy tenant's look-ups, and short enough that an erased tenant's key leaves memory soon. */
const MEMORY_TTL_MS = 60_000;
/** The most data keys in memory, 32 bytes each. */
const MEMORY_MAX = 10_000;

/**
 * Makes, finds and unwraps tenants' data keys. The key-encryption key wraps them, so they are never stored in plain form.
 */
export class DataKeys {
  readonly #database: CrossTenantDatabase;
  readonly #keyEncryptionKeys: KeyEncryptionKeys;
  readonly #memory = new SingleFlightCache<DataKey>({
    ttlMs: MEMORY_TTL_MS,
    max: MEMORY_MAX,
    name: 'data_keys',
  });

  constructor(database: CrossTenantDatabase, keyEncryptionKeys: KeyEncryptionKeys) {
    this.#database = database;
    this.#keyEncryptionKeys = keyEncryptionKeys;
  }

  /** Makes a tenant's data key, wrapped, in the caller's transaction. Returns its id. */
  async create(transaction: CrossTenantTransaction, tenantId: string): Promise<string> {
    const { version, key } = await this.#keyEncryptionKeys.current();
    const keyId = newId();
    const wrapped = seal(key, randomBytes(32), binding(tenantId, keyId));
    await transaction.query(
      `insert into ops.data_keys (tenant_id, key_id, wrapped_key, wrapped_with) values ($1, $2, $3, $4)`,
      [tenantId, keyId, wrapped, version],
    );
    return keyId;
  }

  /** The data keys that another version of the key-encryption key than the current one wraps, of the first 5,000. */
  async countOutdated(): Promise<number> {
    const { version } = await this.#keyEncryptionKeys.current();
    const [row] = await this.#database.query<{ outdated: number }>(
      `select count(*) filter (where wrapped_key is not null and wrapped_with <> $1) as outdated
         from (select wrapped_key, wrapped_with from ops.data_keys order by tenant_id, key_id limit 5000) k`,
      [version],
    );
    return row?.outdated ?? 0;
  }

  /** Forgets a destroyed key in this process. Others forget it within a minute. */
  forget(tenantId: string, keyId: string): void {
    this.#memory.forget(`${tenantId}/${keyId}`);
  }

  /**
   * Returns the plain data key.
   * @throws DataKeyDestroyed if it was destroyed; Error if the tenant has no such key.
   */
  find(tenantId: string, keyId: string): DataKey | Promise<DataKey> {
    return this.#memory.find(`${tenantId}/${keyId}`, async () => {
      const [row] = await this.#database.query<{ wrapped_key: Buffer | null; wrapped_with: string }>(
        `select wrapped_key, wrapped_with from ops.data_keys where tenant_id = $1 and key_id = $2`,
        [tenantId, keyId],
        { short: true },
      );
      if (row === undefined) throw new Error('the tenant has no such data key');
      if (row.wrapped_key === null) throw new DataKeyDestroyed('the data key was destroyed');
      const wrappingKey = await this.#keyEncryptionKeys.version(row.wrapped_with);
      return { keyId, key: open(wrappingKey, row.wrapped_key, binding(tenantId, keyId)) };
    });
  }
}

/** How many living data keys each version of the key-encryption key wraps. None can be opened without its version. */
export function countWrappedKeys(
  database: CrossTenantDatabase,
): Promise<{ readonly version: string; readonly data_keys: number }[]> {
  return database.query<{ version: string; data_keys: number }>(
    `select wrapped_with as version, count(*) as data_keys from ops.data_keys
      where wrapped_key is not null group by 1 order by 1`,
  );
}
