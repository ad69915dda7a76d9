import { randomBytes } from 'node:crypto';
import { SingleFlightCache } from '../cache/single-flight-cache.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../db/tenant-database.ts';
import { newId } from '../ids/ids.ts';
import type { KeyEncryptionKeys } from './key-encryption-keys.ts';
import { binding, open, seal } from './sealing.ts';

/** A tenant's data key, in clear, in memory alone. */
export interface DataKey {
  readonly keyId: string;
  readonly key: Uint8Array;
}

/** The data key was destroyed, and with it what it sealed: the tenant was erased. */
export class DataKeyDestroyed extends Error {
  override name = 'DataKeyDestroyed';
}

/** Long enough to spare the lookups of a busy tenant, short enough that an erased one's key leaves memory. */
const MEMORY_TTL_MS = 60_000;
/** Data keys in memory at once; 32 bytes each. */
const MEMORY_MAX = 10_000;

/** Finds, makes and unwraps tenants' data keys. Data keys are wrapped by the key-encryption key and never stored in clear. */
export class DataKeys {
  readonly #database: CrossTenantDatabase;
  readonly #keyEncryptionKeys: KeyEncryptionKeys;
  readonly #memory = new SingleFlightCache<DataKey>({ ttlMs: MEMORY_TTL_MS, max: MEMORY_MAX });

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

  /**
   * The data key in clear.
   * @throws DataKeyDestroyed if it was erased; Error if the tenant has no such key.
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
