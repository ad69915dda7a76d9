import { hash } from 'node:crypto';
import type { IdentityProvider } from '../../../platform/auth/identity-provider.ts';
import type { CredentialRequest, Principal } from '../../../platform/auth/principal.ts';
import type { TenantContext } from '../../../platform/auth/tenant-context.ts';
import type { CallServices } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { tenantId as tenantIdSchema } from '../../../platform/http/fields.ts';
import { originOf, type RefusalAudit } from '../refusal-audit.ts';
import { refusedCredential } from '../refused-credential.ts';
import { RATE_PER_DAY_DEFAULT, RATE_PER_HOUR_DEFAULT } from '../schemas.ts';
import type { PersonChanges } from '../sessions/person-changes.ts';
import { callerOf } from './caller.ts';
import { claimedIssuer, TOKEN_MAX_LENGTH } from './claims.ts';
import { KeysUnavailable, KnownIssuers } from './issuer-keys.ts';
import { TokenMemory, type CheckedToken } from './token-memory.ts';
import { TokenRefused } from './token-refused.ts';
import { TokenStandings } from './token-standings.ts';
import { LEEWAY_S, verifyToken } from './verify-token.ts';

/** What the check of tokens needs. */
export type TokenServices = Pick<CallServices, 'settings' | 'crossTenant' | 'tenants' | 'publisher'>;

/** A provider with its text, which tells whether anything of it has changed. */
interface Believed {
  readonly provider: IdentityProvider;
  readonly text: string;
}

const TENANT_HEADER = 'x-tenant-id';

/** Checks tokens of tenants' own identity providers. */
export class TokenAuthenticator {
  readonly #tenants: CallServices['tenants'];
  readonly #issuers: KnownIssuers;
  readonly #memory = new TokenMemory();
  readonly #standings: TokenStandings;
  readonly #refusals: RefusalAudit;
  /** Each context's providers by issuer. */
  readonly #believed = new WeakMap<readonly IdentityProvider[], ReadonlyMap<string, Believed>>();

  constructor(services: TokenServices, changes: PersonChanges, refusals: RefusalAudit) {
    this.#tenants = services.tenants;
    this.#issuers = new KnownIssuers(services.settings);
    this.#standings = new TokenStandings(services, changes);
    this.#refusals = refusals;
  }

  /**
   * The principal of a token. The token says who calls, the header `X-Tenant-Id` where, and the tenant's settings whether the token's
   * issuer is believed. The tenant is never found by the issuer: another tenant could name the same one, and get what was meant
   * for the first.
   * @throws Problem 401 that says what is wrong; before the signature is checked it is the same for everything. 503 while
   * the issuer's keys cannot be read.
   */
  async authenticate(token: string, request: CredentialRequest, now: Date): Promise<Principal> {
    // Known only once the tenant exists and believes the issuer: until then a refusal is the platform's to note.
    let tenantId: string | null = null;
    try {
      const context = await this.#tenantOf(token, request);
      const checked = await this.#check(token, context, now, (id) => (tenantId = id));
      return await this.#principal(context.tenantId, checked, request, now);
    } catch (error) {
      if (error instanceof KeysUnavailable)
        throw new Problem('DEPENDENCY_UNAVAILABLE', {
          detail: 'The keys of the token’s issuer cannot be read now.',
          headers: { 'retry-after': '10' },
        });
      if (!(error instanceof TokenRefused)) throw error;
      const refusal = { action: 'sign_in.refused', credential: 'token', reason: error.fault } as const;
      this.#refusals.note({ ...refusal, tenantId, userId: null }, originOf(request), now);
      throw refusedCredential(error.reason, error.detail);
    }
  }

  async #tenantOf(token: string, request: CredentialRequest): Promise<TenantContext> {
    const named = request.headers.get(TENANT_HEADER)?.trim() ?? '';
    if (named === '') throw new TokenRefused('no_tenant');
    if (token.length > TOKEN_MAX_LENGTH) throw new TokenRefused('too_large');
    if (!tenantIdSchema.safeParse(named).success) throw new TokenRefused('not_trusted');
    const context = await this.#tenants.find(named);
    if (context === null || context.status === 'erased') throw new TokenRefused('not_trusted');
    return context;
  }

  /** The checked token, from memory while nothing that it depends on has changed. */
  async #check(
    token: string,
    context: TenantContext,
    now: Date,
    onTrusted: (tenantId: string) => void,
  ): Promise<CheckedToken> {
    const { tenantId } = context;
    const providers = this.#providersOf(context.config.identity_providers);
    const id = hash('sha256', token, 'base64url');
    const known = this.#memory.find(tenantId, id);
    const issuer = known?.issuer ?? claimedIssuer(token);
    const believed = providers.get(issuer);
    if (believed === undefined) throw new TokenRefused('not_trusted');
    onTrusted(tenantId);
    if (known?.isGood(believed.text, now) === true) return known.token;
    const { provider, text } = believed;
    const keys = this.#issuers.of(provider);
    const claims = await verifyToken(token, provider, keys, now);
    const checked: CheckedToken = {
      id,
      tenantId,
      provider,
      caller: callerOf(claims, provider),
      issuedAt: new Date(Math.floor(claims.iat) * 1000),
      expiresAt: new Date(claims.exp * 1000),
    };
    this.#memory.keep(checked, { text, keys, until: (claims.exp + LEEWAY_S) * 1000 });
    return checked;
  }

  async #principal(
    tenantId: string,
    token: CheckedToken,
    request: CredentialRequest,
    now: Date,
  ): Promise<Principal> {
    const standing = await this.#standings.find(token, () => originOf(request), now);
    const { permissions, roles, until } = standing.rights.at(now);
    if (roles.length === 0) throw new TokenRefused('no_role');
    const { userId } = standing;
    const actor = userId === null ? `service:${token.caller.subject}` : `user:${userId}`;
    return {
      kind: userId === null ? 'oidc_service' : 'oidc_person',
      tenantId,
      actor,
      credentialId: actor,
      userId,
      makerId: userId,
      sessionId: null,
      roles,
      permissions,
      permissionsUntil: until,
      rateLimitPerHour: standing.ratePerHour ?? RATE_PER_HOUR_DEFAULT,
      rateLimitPerDay: standing.ratePerDay ?? RATE_PER_DAY_DEFAULT,
      expiresAt: token.expiresAt,
    };
  }

  #providersOf(list: readonly IdentityProvider[]): ReadonlyMap<string, Believed> {
    let providers = this.#believed.get(list);
    if (providers === undefined) {
      providers = new Map(
        list.map((provider) => [provider.issuer, { provider, text: JSON.stringify(provider) }]),
      );
      this.#believed.set(list, providers);
    }
    return providers;
  }
}
