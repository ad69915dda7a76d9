import { randomBytes } from 'node:crypto';
import { SingleFlightCache } from '../cache/single-flight-cache.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../db/tenant-database.ts';
import { newId } from '../ids/ids.ts';
import { KeyUnavailable } from './key-unavailable.ts';
import type { KeyEncryptionKeys } from './key-encryption-keys.ts';
import { binding, open, seal } from './sealing.ts';
import { noteUse } from './version-use.ts';

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

interface WrappedRow {
  readonly [column: string]: unknown;
  readonly wrapped_key: Buffer | null;
  readonly wrapped_with: string;
}

/**
 * Makes, finds and unwraps tenants' data keys. The key-encryption key wraps them, so they are never stored in plain form.
 */
export class DataKeys {
  readonly #database: CrossTenantDatabase;
  /** The key that wraps them. */
  readonly wrapping: KeyEncryptionKeys;
  readonly #memory = new SingleFlightCache<DataKey>({
    ttlMs: MEMORY_TTL_MS,
    max: MEMORY_MAX,
    name: 'data_keys',
  });
  readonly #noteUse: (version: string) => void;

  constructor(database: CrossTenantDatabase, keyEncryptionKeys: KeyEncryptionKeys) {
    this.#database = database;
    this.wrapping = keyEncryptionKeys;
    this.#noteUse = noteUse(database);
  }

  /**
   * Makes a tenant's data key, wrapped, in the caller's transaction. Returns its id.
   * @throws KeyUnavailable in a process that never read the key-encryption key.
   */
  async create(transaction: CrossTenantTransaction, tenantId: string, now?: Date): Promise<string> {
    const { version, key } = await this.wrapping.current();
    const keyId = newId();
    const wrapped = seal(key, randomBytes(32), binding(tenantId, keyId));
    await transaction.query(
      `insert into ops.data_keys (tenant_id, key_id, wrapped_key, wrapped_with, created_at)
       values ($1, $2, $3, $4, coalesce($5, now()))`,
      [tenantId, keyId, wrapped, version, now ?? null],
    );
    this.#noteUse(version);
    return keyId;
  }

  /** The data keys that another version of the key-encryption key than the current one wraps, at most 5,000. */
  async countOutdated(): Promise<number> {
    const { version } = await this.wrapping.current();
    // Two ranges of the index: for "<>" it would be read whole.
    const [row] = await this.#database.query<{ outdated: number }>(
      `select count(*) as outdated from (
         (select from ops.data_keys where wrapped_key is not null and wrapped_with < $1 limit 5000)
         union all
         (select from ops.data_keys where wrapped_key is not null and wrapped_with > $1 limit 5000) limit 5000) k`,
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
   * @throws DataKeyDestroyed if it was destroyed; KeyUnavailable if the version that wraps it cannot be read; Error if the tenant
   * has no such key.
   */
  find(tenantId: string, keyId: string): DataKey | Promise<DataKey> {
    return this.#memory.find(`${tenantId}/${keyId}`, async () => {
      const row = await this.#read(tenantId, keyId);
      try {
        return await this.#unwrap(tenantId, keyId, row);
      } catch (error) {
        if (!(error instanceof KeyUnavailable)) throw error;
        // Meanwhile it may have been wrapped again, and its old version disabled.
        const again = await this.#read(tenantId, keyId);
        if (again.wrapped_with === row.wrapped_with) throw error;
        return this.#unwrap(tenantId, keyId, again);
      }
    });
  }

  async #read(tenantId: string, keyId: string): Promise<WrappedRow> {
    const [row] = await this.#database.query<WrappedRow>(
      `select wrapped_key, wrapped_with from ops.data_keys where tenant_id = $1 and key_id = $2`,
      [tenantId, keyId],
      { short: true },
    );
    if (row === undefined) throw new Error('the tenant has no such data key');
    return row;
  }

  async #unwrap(tenantId: string, keyId: string, row: WrappedRow): Promise<DataKey> {
    if (row.wrapped_key === null) throw new DataKeyDestroyed('the data key was destroyed');
    const wrappingKey = await this.wrapping.version(row.wrapped_with);
    const key = open(wrappingKey, row.wrapped_key, binding(tenantId, keyId));
    this.#noteUse(row.wrapped_with);
    return { keyId, key };
  }
}
