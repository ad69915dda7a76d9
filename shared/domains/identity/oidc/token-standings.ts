import { SingleFlightCache } from '../../../platform/cache/single-flight-cache.ts';
import type { CallServices } from '../../../platform/call/call.ts';
import { addToOutbox, newEntry } from '../../../platform/writes/outbox.ts';
import { LastingRights, type HeldRole } from '../roles/held-roles.ts';
import type { PersonChanges } from '../sessions/person-changes.ts';
import { authorityOf } from './provider.ts';
import { assignedBy, endProviderRoles } from './provider-roles.ts';
import { recordPerson } from './record-person.ts';
import { credentialEvent, type CredentialOrigin } from '../credential-event.ts';
import type { CheckedToken } from './token-memory.ts';
import { TokenRefused } from './token-refused.ts';
import { readStanding, type Standing } from './token-standing.ts';

/** What a token's caller is and may do in the tenant. */
export interface CallerStanding {
  /** Null for a service. */
  readonly userId: string | null;
  readonly rights: LastingRights;
  readonly ratePerHour: number | null;
  readonly ratePerDay: number | null;
  /** The person's last change that is in it. */
  readonly change: string | undefined;
}

/** As for keys and sessions: a change elsewhere counts here within 5 s. */
const MEMORY_TTL_MS = 4_000;
const MEMORY_MAX = 10_000;

type StandingServices = Pick<CallServices, 'crossTenant' | 'publisher' | 'tenants'>;

/** Finds what a token's caller may do, and records a token when this process sees it first. */
export class TokenStandings {
  readonly #services: StandingServices;
  readonly #changes: PersonChanges;
  readonly #memory = new SingleFlightCache<CallerStanding>({
    ttlMs: MEMORY_TTL_MS,
    max: MEMORY_MAX,
    name: 'tokens',
  });
  /** The tokens that this process has recorded. A token that was checked again is another one. */
  readonly #recorded = new WeakSet<CheckedToken>();

  constructor(services: StandingServices, changes: PersonChanges) {
    this.#services = services;
    this.#changes = changes;
  }

  /**
   * The standing of a token's caller, as it is after the person's last known change.
   * @throws TokenRefused for a person who is not active, and without any role.
   */
  async find(token: CheckedToken, origin: () => CredentialOrigin, now: Date): Promise<CallerStanding> {
    const key = `${token.tenantId} ${token.id}`;
    // What was remembered before the token was checked again may come from other settings.
    if (!this.#recorded.has(token)) this.#memory.forget(key);
    const load = (): Promise<CallerStanding> => this.#load(token, origin, now);
    const known = await this.#memory.find(key, load);
    if (known.userId === null || (await this.#changes.last(known.userId)) === known.change) return known;
    this.#memory.forget(key);
    return this.#memory.find(key, load);
  }

  async #load(token: CheckedToken, origin: () => CredentialOrigin, now: Date): Promise<CallerStanding> {
    const isNew = !this.#recorded.has(token);
    let standing = await this.#read(token);
    // A token that gives nothing leaves nothing: an organisation has more people than the tenant has users.
    if (standing.person === null && standing.roles.length === 0) throw new TokenRefused('no_role');
    if (standing.person?.isActive === false) throw new TokenRefused('not_active');
    if (isNew && token.caller.kind === 'person') {
      await this.#recordPerson(token, standing, origin(), now);
      await this.#requireProvider(token, now);
      standing = await this.#read(token);
    }
    const { person } = standing;
    // From before what counts is read: a later change is noticed with the next request.
    const change = person === null ? undefined : await this.#changes.last(person.userId);
    if (change !== undefined) standing = await this.#read(token);
    const rights = new LastingRights(rolesNow(token, standing));
    const { roles } = rights.at(now);
    if (isNew && roles.length > 0)
      await this.#noteSignIn(token, person?.userId ?? null, roles, origin(), now);
    this.#recorded.add(token);
    const { ratePerHour, ratePerDay } = standing;
    return { userId: person?.userId ?? null, rights, ratePerHour, ratePerDay, change };
  }

  #read({ tenantId, provider, caller }: CheckedToken): Promise<Standing> {
    const authority = authorityOf(tenantId, provider);
    const identity = caller.kind === 'person' ? { authority, subject: caller.subject } : null;
    return readStanding(this.#services.crossTenant.core, { tenantId, identity, roles: caller.roles });
  }

  /** Records the person and its roles, and a change of these in the audit trail. */
  async #recordPerson(
    token: CheckedToken,
    standing: Standing,
    origin: CredentialOrigin,
    now: Date,
  ): Promise<void> {
    const { tenantId, provider, caller, issuedAt } = token;
    const person = {
      tenantId,
      authority: authorityOf(tenantId, provider),
      subject: caller.subject,
      roles: [...new Set(standing.roles.map(({ role }) => role))],
      issuedAt,
      provider: provider.name,
    };
    const done = await this.#services.crossTenant.core.transaction(async (transaction) => {
      const { userId, added, ended } = await recordPerson(transaction, person, now);
      const event = credentialEvent({
        tenantId,
        actor: `user:${userId}`,
        userId,
        action: 'user.roles_replaced',
        details: { provider: provider.name, added, ended },
        origin,
        at: now,
        cause: [token.id, userId],
      });
      const entry = newEntry('core', tenantId, added.length + ended.length === 0 ? [] : [event], now);
      if (entry.events.length > 0) await addToOutbox(transaction, [entry]);
      return { entry, userId, ended };
    });
    if (done.entry.events.length > 0) this.#services.publisher.publish(done.entry);
    // Older tokens of the person, and its keys, lose what this token does not have.
    if (done.ended.length > 0) this.#changes.note(done.userId);
  }

  /**
   * This process may have believed a provider that was removed a moment ago. What was recorded since then ends again, so that nothing
   * outlives the provider.
   */
  async #requireProvider({ tenantId, provider }: CheckedToken, now: Date): Promise<void> {
    const { tenants, crossTenant } = this.#services;
    tenants.forget(tenantId);
    const listed = (await tenants.find(tenantId))?.config.identity_providers ?? [];
    const text = JSON.stringify(provider);
    if (listed.some((one) => JSON.stringify(one) === text)) return;
    await crossTenant.core.transaction((transaction) =>
      endProviderRoles(transaction, tenantId, [provider.name], assignedBy(provider.name), now),
    );
    throw new TokenRefused('not_trusted');
  }

  /** One entry for each token in each tenant, however many instances see it. */
  async #noteSignIn(
    { id, tenantId, provider, caller, issuedAt }: CheckedToken,
    userId: string | null,
    roles: readonly string[],
    origin: CredentialOrigin,
    now: Date,
  ): Promise<void> {
    const event = credentialEvent({
      tenantId,
      actor: userId === null ? `service:${caller.subject}` : `user:${userId}`,
      userId,
      action: userId === null ? 'service.signed_in' : 'user.signed_in',
      details: { provider: provider.name, roles },
      origin,
      at: issuedAt,
      cause: [id],
    });
    const entry = newEntry('core', tenantId, [event], now);
    await addToOutbox(this.#services.crossTenant.core, [entry]);
    this.#services.publisher.publish(entry);
  }
}

/**
 * The roles that count for a request: those that somebody has given, and those of its token. Of a token that is not the newest one,
 * only those that the newest one has too.
 */
function rolesNow({ issuedAt }: CheckedToken, { person, roles }: Standing): readonly HeldRole[] {
  const held = person?.held ?? [];
  const isOld = person?.newestToken != null && person.newestToken > issuedAt.getTime();
  const recorded = new Set(held.filter(({ source }) => source === 'token').map(({ role }) => role));
  return [
    ...held.filter(({ source }) => source === 'assigned'),
    ...roles
      .filter(({ role }) => !isOld || recorded.has(role))
      .map(({ role, permissions }) => ({ role, permissions, source: 'token' as const, expires_at: null })),
  ];
}
