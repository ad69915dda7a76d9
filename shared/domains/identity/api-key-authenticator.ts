import type { Principal } from '../../platform/auth/principal.ts';
import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import type { Settings } from '../../platform/config/settings.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { hashApiKey, parseApiKey, pepperId, sameHash } from '../../platform/auth/api-key.ts';
import { knownPermissions, type Permission } from '../../platform/auth/permissions.ts';
import { refusedCredential } from './refused-credential.ts';
import type { PersonChanges } from './sessions/person-changes.ts';
import { LastingRights, makerHeldSql, readHeldRoles } from './roles/held-roles.ts';

interface StoredKey {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly key_hash: Buffer;
  readonly pepper_id: string | null;
  readonly permissions: unknown;
  readonly rate_limit_per_hour: number;
  readonly rate_limit_per_day: number;
  readonly is_active: boolean;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  readonly made_by_user: string | null;
  /** The maker's roles; null without a maker. */
  readonly maker_held: unknown;
}

/** A key as a process remembers it. */
interface KnownKey {
  readonly row: StoredKey;
  /** The maker's last change that this row contains. Undefined without a maker. */
  readonly change: string | undefined;
}

/**
 * A key that another instance revoked is refused here within 5 s: 4 s in the cache, and a second for a look-up that began
 * just before. The instance that revoked it refuses it at once.
 */
const MEMORY_TTL_MS = 4_000;
const MEMORY_MAX = 10_000;
/** `last_used_at` is written at most this often for each key: it answers "is it in use", not "when exactly". */
const LAST_USED_GRAIN_MS = 60_000;

/** Checks API keys against their stored hashes. */
export class ApiKeyAuthenticator {
  readonly #database: CrossTenantDatabase;
  readonly #settings: Settings;
  readonly #changes: PersonChanges;
  readonly #memory = new SingleFlightCache<KnownKey | null>({
    ttlMs: MEMORY_TTL_MS,
    max: MEMORY_MAX,
    name: 'api_keys',
  });
  /** Each key's permissions, parsed from its row once. */
  readonly #permissions = new WeakMap<StoredKey, ReadonlySet<Permission>>();
  readonly #makers = new WeakMap<StoredKey, LastingRights>();
  readonly #hashes = new Map<string, Hashes>();
  readonly #pepperId: string;
  readonly #rehashing = new Set<string>();
  readonly #lastUsed = new Map<string, number>();

  constructor(database: CrossTenantDatabase, settings: Settings, changes: PersonChanges) {
    this.#database = database;
    this.#settings = settings;
    this.#changes = changes;
    this.#pepperId = pepperId(settings.API_KEY_PEPPER);
  }

  /**
   * The principal of a key.
   * @throws Problem 401 that says whether the key is unknown, revoked or expired. Only the key's holder can learn that.
   */
  async authenticate(credential: string, now: Date): Promise<Principal> {
    const parts = parseApiKey(credential);
    if (parts === undefined)
      throw refusedCredential('malformed', 'The credential is not one of this service.');
    const known = await this.#find(parts.keyId);
    // Only a key with a maker is asked about, so that the others need no further look-up.
    const stored =
      known === null || known.row.made_by_user === null
        ? known?.row
        : await this.#current(parts.keyId, known, known.row.made_by_user);
    const hashes = this.#hash(credential, parts);
    if (stored === undefined || !isOneOf(hashes, stored.key_hash))
      throw refusedCredential('unknown', 'The API key is not known.');
    if (stored.revoked_at !== null && Date.parse(stored.revoked_at) <= now.getTime())
      throw refusedCredential('revoked', 'The API key was revoked.');
    if (!stored.is_active) throw refusedCredential('inactive', 'The API key is not active.');
    if (stored.expires_at !== null && Date.parse(stored.expires_at) <= now.getTime())
      throw refusedCredential('expired', 'The API key has expired.');
    const permissions = this.#permissionsOf(stored, now);
    if (permissions === undefined)
      throw refusedCredential(
        'inactive',
        'The person who made the API key no longer has a role in this tenant.',
      );
    this.#touch(stored.tenant_id, parts.keyId, now);
    if (stored.pepper_id !== this.#pepperId) this.#rehash(stored, parts.keyId, hashes.current);
    return {
      kind: 'key',
      tenantId: stored.tenant_id,
      actor: `key:${parts.keyId}`,
      credentialId: parts.keyId,
      userId: null,
      makerId: stored.made_by_user,
      sessionId: null,
      roles: [],
      permissions,
      permissionsUntil: stored.made_by_user === null ? null : this.#makerRights(stored).at(now).until,
      rateLimitPerHour: stored.rate_limit_per_hour,
      rateLimitPerDay: stored.rate_limit_per_day,
      expiresAt: stored.expires_at === null ? null : new Date(stored.expires_at),
    };
  }

  /** Call this after a key is changed. */
  forget(keyId: string): void {
    this.#memory.forget(keyId);
  }

  /** The key's own permissions that its maker, if it has one, holds now. Undefined if the maker holds none. */
  #permissionsOf(stored: StoredKey, now: Date): ReadonlySet<Permission> | undefined {
    const own = this.#ownPermissions(stored);
    if (stored.made_by_user === null) return own;
    const held = this.#makerRights(stored).at(now).permissions;
    return held.size === 0 ? undefined : new Set([...own].filter((permission) => held.has(permission)));
  }

  #ownPermissions(stored: StoredKey): ReadonlySet<Permission> {
    let permissions = this.#permissions.get(stored);
    if (permissions === undefined) {
      permissions = knownPermissions(stored.permissions);
      this.#permissions.set(stored, permissions);
    }
    return permissions;
  }

  #makerRights(stored: StoredKey): LastingRights {
    let rights = this.#makers.get(stored);
    if (rights === undefined) {
      rights = new LastingRights(readHeldRoles(stored.maker_held));
      this.#makers.set(stored, rights);
    }
    return rights;
  }

  #hash(credential: string, parts: { keyId: string; secret: string }): Hashes {
    // A credential's HMACs never change, so they are computed once.
    const known = this.#hashes.get(credential);
    if (known !== undefined) return known;
    const { API_KEY_PEPPER: pepper, API_KEY_PEPPER_PREVIOUS: previous } = this.#settings;
    const current = hashApiKey(pepper, parts);
    const hashes = { current, other: previous === undefined ? current : hashApiKey(previous, parts) };
    if (this.#hashes.size >= MEMORY_MAX) this.#hashes.clear();
    this.#hashes.set(credential, hashes);
    return hashes;
  }

  /** The key as it is after its maker's last known change; undefined if it is gone. */
  async #current(keyId: string, known: KnownKey, maker: string): Promise<StoredKey | undefined> {
    if ((await this.#changes.last(maker)) === known.change) return known.row;
    this.#memory.forget(keyId);
    return (await this.#find(keyId))?.row;
  }

  #find(keyId: string): KnownKey | null | Promise<KnownKey | null> {
    return this.#memory.find(keyId, async () => {
      const row = await this.#load(keyId);
      if (row === undefined) return null;
      if (row.made_by_user === null) return { row, change: undefined };
      // A change that was noted before this look-up began is in it or will be noticed: the row is read again if it was later.
      const change = await this.#changes.last(row.made_by_user);
      return { row: change === undefined ? row : ((await this.#load(keyId)) ?? row), change };
    });
  }

  async #load(keyId: string): Promise<StoredKey | undefined> {
    const [row] = await this.#database.query<StoredKey>(
      `select k.tenant_id, k.key_hash, k.pepper_id, k.permissions, k.rate_limit_per_hour, k.rate_limit_per_day, k.is_active,
              k.expires_at, k.revoked_at, k.made_by_user, ${makerHeldSql('k')} as maker_held
         from api_keys k where k.key_id = $1`,
      [keyId],
      { short: true },
    );
    return row;
  }

  /** Stores a valid key's hash with the current pepper. It fails alone: the key's next use tries again. */
  #rehash(stored: StoredKey, keyId: string, hash: Buffer): void {
    if (this.#rehashing.has(keyId)) return;
    this.#rehashing.add(keyId);
    this.#database
      .query(
        `update api_keys set key_hash = $4, pepper_id = $5 where tenant_id = $1 and key_id = $2 and key_hash = $3`,
        [stored.tenant_id, keyId, stored.key_hash, hash, this.#pepperId],
      )
      .then(() => this.forget(keyId))
      .catch(() => undefined)
      .finally(() => this.#rehashing.delete(keyId));
  }

  #touch(tenantId: string, keyId: string, now: Date): void {
    const last = this.#lastUsed.get(keyId);
    if (last !== undefined && now.getTime() - last < LAST_USED_GRAIN_MS) return;
    if (this.#lastUsed.size >= MEMORY_MAX) this.#lastUsed.clear();
    this.#lastUsed.set(keyId, now.getTime());
    // Not awaited: no answer depends on this write.
    this.#database
      .query(`update api_keys set last_used_at = $3 where tenant_id = $1 and key_id = $2`, [
        tenantId,
        keyId,
        now,
      ])
      .catch(() => undefined);
  }
}

/** What a credential's hash may be: with the current pepper, and with the other one. Without another one, both are the same. */
interface Hashes {
  readonly current: Buffer;
  readonly other: Buffer;
}

/** Always compares both, so that the time does not tell which of them it is. */
function isOneOf({ current, other }: Hashes, stored: Uint8Array): boolean {
  const matches = [sameHash(stored, current), sameHash(stored, other)];
  return matches.includes(true);
}
