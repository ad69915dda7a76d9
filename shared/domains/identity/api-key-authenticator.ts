import type { Authenticator, Principal } from '../../platform/auth/principal.ts';
import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import type { Settings } from '../../platform/config/settings.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { unauthorized, type Problem } from '../../platform/call/problem.ts';
import { count } from '../../platform/telemetry/metrics.ts';
import { hashApiKey, parseApiKey, pepperId, sameHash } from '../../platform/auth/api-key.ts';
import { knownPermissions, type Permission } from '../../platform/auth/permissions.ts';

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
export class ApiKeyAuthenticator implements Authenticator {
  readonly #database: CrossTenantDatabase;
  readonly #settings: Settings;
  readonly #memory = new SingleFlightCache<StoredKey | null>({
    ttlMs: MEMORY_TTL_MS,
    max: MEMORY_MAX,
    name: 'api_keys',
  });
  /** Each key's permissions, parsed from its row once. */
  readonly #permissions = new WeakMap<StoredKey, ReadonlySet<Permission>>();
  readonly #hashes = new Map<string, Hashes>();
  readonly #pepperId: string;
  readonly #rehashing = new Set<string>();
  readonly #lastUsed = new Map<string, number>();

  constructor(database: CrossTenantDatabase, settings: Settings) {
    this.#database = database;
    this.#settings = settings;
    this.#pepperId = pepperId(settings.API_KEY_PEPPER);
  }

  /**
   * The principal of a request's headers: `Authorization: Bearer` or `X-API-Key`.
   * @throws Problem 401 that says whether the key is missing, unknown, revoked or expired. Only the key's holder can learn that.
   */
  async authenticate(headers: Headers, now: Date): Promise<Principal> {
    const credential = credentialOf(headers);
    if (credential === undefined)
      throw refused('missing', 'Send an API key as Authorization: Bearer or X-API-Key.');
    const parts = parseApiKey(credential);
    if (parts === undefined) throw refused('malformed', 'The credential is not an API key of this service.');
    const stored = await this.#find(parts.keyId);
    const hashes = this.#hash(credential, parts);
    if (stored === null || !isOneOf(hashes, stored.key_hash))
      throw refused('unknown', 'The API key is not known.');
    if (stored.revoked_at !== null && Date.parse(stored.revoked_at) <= now.getTime())
      throw refused('revoked', 'The API key was revoked.');
    if (!stored.is_active) throw refused('inactive', 'The API key is not active.');
    if (stored.expires_at !== null && Date.parse(stored.expires_at) <= now.getTime())
      throw refused('expired', 'The API key has expired.');
    this.#touch(stored.tenant_id, parts.keyId, now);
    if (stored.pepper_id !== this.#pepperId) this.#rehash(stored, parts.keyId, hashes.current);
    return {
      tenantId: stored.tenant_id,
      keyId: parts.keyId,
      permissions: this.#permissionsOf(stored),
      rateLimitPerHour: stored.rate_limit_per_hour,
      rateLimitPerDay: stored.rate_limit_per_day,
      expiresAt: stored.expires_at === null ? null : new Date(stored.expires_at),
    };
  }

  /** Call this after a key is changed. */
  forget(keyId: string): void {
    this.#memory.forget(keyId);
  }

  #permissionsOf(stored: StoredKey): ReadonlySet<Permission> {
    let permissions = this.#permissions.get(stored);
    if (permissions === undefined) {
      permissions = knownPermissions(stored.permissions);
      this.#permissions.set(stored, permissions);
    }
    return permissions;
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

  #find(keyId: string): StoredKey | null | Promise<StoredKey | null> {
    return this.#memory.find(keyId, async () => {
      const [row] = await this.#database.query<StoredKey>(
        `select k.tenant_id, k.key_hash, k.pepper_id, k.permissions, k.rate_limit_per_hour, k.rate_limit_per_day, k.is_active,
                k.expires_at, k.revoked_at
           from api_keys k where k.key_id = $1`,
        [keyId],
        { short: true },
      );
      return row ?? null;
    });
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

type Reason = 'missing' | 'malformed' | 'unknown' | 'revoked' | 'inactive' | 'expired';

function refused(reason: Reason, detail: string): Problem {
  count('sign_in_failures_total', { reason });
  return unauthorized(detail);
}

function credentialOf(headers: Headers): string | undefined {
  const authorization = headers.get('authorization');
  if (authorization !== null) {
    const match = /^bearer +(\S+)$/i.exec(authorization.trim());
    return match?.[1] ?? '';
  }
  return headers.get('x-api-key')?.trim() ?? undefined;
}
