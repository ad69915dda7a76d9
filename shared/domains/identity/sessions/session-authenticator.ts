import { SESSION_COOKIE, hashToken, parseSessionToken } from '../../../platform/auth/session-token.ts';
import { sameHash } from '../../../platform/auth/api-key.ts';
import type { CredentialRequest, Principal } from '../../../platform/auth/principal.ts';
import { SingleFlightCache } from '../../../platform/cache/single-flight-cache.ts';
import type { Settings } from '../../../platform/config/settings.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { refusedCredential } from '../refused-credential.ts';
import { heldRolesSql, LastingRights, readHeldRoles } from '../roles/held-roles.ts';
import { RATE_PER_DAY_DEFAULT, RATE_PER_HOUR_DEFAULT } from '../schemas.ts';
import type { PersonChanges } from './person-changes.ts';

interface StoredSession {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly user_id: string;
  readonly token_hash: Buffer;
  readonly idle_expires_at: string;
  readonly expires_at: string;
  readonly revoked_at: string | null;
  readonly is_active: boolean;
  readonly held: unknown;
  readonly rate_per_hour: number | null;
  readonly rate_per_day: number | null;
}

/** A session as a process remembers it. */
interface KnownSession {
  readonly row: StoredSession;
  readonly rights: LastingRights;
  /** The person's last change that this row contains. */
  readonly change: string | undefined;
}

/** A session that was ended elsewhere is refused here within 5 s, also without Redis: as for keys. */
const MEMORY_TTL_MS = 4_000;
const MEMORY_MAX = 10_000;
/** A use is written at most this often. So a session may end this much before its idle time is over, and never after it. */
const USED_GRAIN_MS = 60_000;

/** Methods that change nothing, so that another site's page gains nothing by sending them with a cookie. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Checks the tokens of sessions. */
export class SessionAuthenticator {
  readonly #database: CrossTenantDatabase;
  readonly #settings: Settings;
  readonly #changes: PersonChanges;
  readonly #memory = new SingleFlightCache<KnownSession | null>({
    ttlMs: MEMORY_TTL_MS,
    max: MEMORY_MAX,
    name: 'sessions',
  });
  readonly #hashes = new Map<string, Buffer>();
  readonly #lastUsed = new Map<string, number>();

  constructor(database: CrossTenantDatabase, settings: Settings, changes: PersonChanges) {
    this.#database = database;
    this.#settings = settings;
    this.#changes = changes;
  }

  /**
   * The principal of a session's token.
   * @throws Problem 401 that says whether the token is malformed, unknown, revoked or expired.
   */
  async authenticate(token: string, now: Date): Promise<Principal> {
    const parts = parseSessionToken(token);
    if (parts === undefined)
      throw refusedCredential('malformed', 'The credential is not a token of a session.');
    const known = await this.#current(parts.sessionId);
    if (known === null || !sameHash(known.row.token_hash, this.#hash(token)))
      throw refusedCredential('unknown', 'The session is not known.');
    const { row } = known;
    if (row.revoked_at !== null) throw refusedCredential('revoked', 'The session was ended.');
    if (Date.parse(row.expires_at) <= now.getTime() || this.#idleEnd(parts.sessionId, row) <= now.getTime())
      throw refusedCredential('expired', 'The session is over: sign in again.');
    if (!row.is_active) throw refusedCredential('inactive', 'The person’s account is not active.');
    const { permissions, roles, until } = known.rights.at(now);
    if (roles.length === 0)
      throw refusedCredential('inactive', 'The person no longer has a role in this tenant.');
    this.#touch(row, parts.sessionId, now);
    return {
      kind: 'session',
      tenantId: row.tenant_id,
      actor: `user:${row.user_id}`,
      credentialId: `user:${row.user_id}`,
      userId: row.user_id,
      makerId: row.user_id,
      sessionId: parts.sessionId,
      roles,
      permissions,
      permissionsUntil: until,
      rateLimitPerHour: row.rate_per_hour ?? RATE_PER_HOUR_DEFAULT,
      rateLimitPerDay: row.rate_per_day ?? RATE_PER_DAY_DEFAULT,
      expiresAt: new Date(row.expires_at),
    };
  }

  /**
   * Whether a request with a session's cookie may come from another site's page, which can make a browser send the cookie: a change must
   * come from a page of the API's own origin or of one that the settings allow.
   */
  isFromElsewhere({ method, headers }: CredentialRequest): boolean {
    return !SAFE_METHODS.has(method) && !this.#isOwnPage(headers);
  }

  #isOwnPage(headers: CredentialRequest['headers']): boolean {
    const from = headers.get('origin');
    if (from === null) return headers.get('sec-fetch-site') === 'same-origin';
    const { API_PUBLIC_URL: own, SESSION_ORIGINS: allowed } = this.#settings;
    return allowed.includes(from) || (own !== undefined && new URL(own).origin === from);
  }

  #hash(token: string): Buffer {
    const known = this.#hashes.get(token);
    if (known !== undefined) return known;
    const made = hashToken(token);
    if (this.#hashes.size >= MEMORY_MAX) this.#hashes.clear();
    this.#hashes.set(token, made);
    return made;
  }

  /** The session as it is after the person's last known change. */
  async #current(sessionId: string): Promise<KnownSession | null> {
    const known = await this.#find(sessionId);
    if (known === null) return null;
    if ((await this.#changes.last(known.row.user_id)) === known.change) return known;
    this.#memory.forget(sessionId);
    return this.#find(sessionId);
  }

  #find(sessionId: string): KnownSession | null | Promise<KnownSession | null> {
    return this.#memory.find(sessionId, async () => {
      const row = await this.#load(sessionId);
      if (row === undefined) return null;
      // A change that was noted before this look-up began is in it or will be noticed: the row is read again if it was later.
      const change = await this.#changes.last(row.user_id);
      const again = change === undefined ? row : ((await this.#load(sessionId)) ?? row);
      return { row: again, rights: new LastingRights(readHeldRoles(again.held)), change };
    });
  }

  async #load(sessionId: string): Promise<StoredSession | undefined> {
    const [row] = await this.#database.query<StoredSession>(
      `select s.tenant_id, s.user_id, s.token_hash, s.idle_expires_at, s.expires_at, s.revoked_at, u.is_active,
              ${heldRolesSql('s.tenant_id', 's.user_id')} as held,
              (select max(k.rate_limit_per_hour) from api_keys k where k.tenant_id = s.tenant_id and k.is_active) as rate_per_hour,
              (select max(k.rate_limit_per_day) from api_keys k where k.tenant_id = s.tenant_id and k.is_active) as rate_per_day
         from user_sessions s join users u on u.user_id = s.user_id
        where s.session_id = $1`,
      [sessionId],
      { short: true },
    );
    return row;
  }

  /** When the session ends unless it is used: what was written last, or what this process has seen since. */
  #idleEnd(sessionId: string, row: StoredSession): number {
    const used = this.#lastUsed.get(sessionId);
    const written = Date.parse(row.idle_expires_at);
    return used === undefined
      ? written
      : Math.max(written, used + this.#settings.SESSION_IDLE_MINUTES * 60_000);
  }

  #touch(row: StoredSession, sessionId: string, now: Date): void {
    const last = this.#lastUsed.get(sessionId);
    if (last !== undefined && now.getTime() - last < USED_GRAIN_MS) return;
    if (this.#lastUsed.size >= MEMORY_MAX) this.#lastUsed.clear();
    this.#lastUsed.set(sessionId, now.getTime());
    const idleEnd = new Date(now.getTime() + this.#settings.SESSION_IDLE_MINUTES * 60_000);
    // Not awaited: no answer depends on this write.
    this.#database
      .query(
        `update user_sessions set last_accessed_at = $3, idle_expires_at = greatest(idle_expires_at, $4)
          where tenant_id = $1 and session_id = $2 and revoked_at is null`,
        [row.tenant_id, sessionId, now, idleEnd],
      )
      .catch(() => undefined);
  }
}

/** The session's token in a request's cookie; undefined without it. */
export function cookieToken({ headers }: CredentialRequest): string | undefined {
  return readCookie(headers.get('cookie'), SESSION_COOKIE);
}

/** A cookie's value from the `Cookie` header (RFC 6265); undefined without it. */
function readCookie(header: string | null, name: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
