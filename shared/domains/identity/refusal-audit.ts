import { PLATFORM_TENANT, type CredentialRequest } from '../../platform/auth/principal.ts';
import type { CallServices } from '../../platform/call/call.ts';
import { clientAddress } from '../../platform/http/client-address.ts';
import { MINUTE_MS } from '../../platform/time/clock.ts';
import { addToOutbox, newEntry } from '../../platform/writes/outbox.ts';
import { credentialEvent, type CredentialOrigin } from './credential-event.ts';

/** The most refusals that one process audits in a minute: more tell nobody more, and an attacker must not fill the trail. */
const REFUSALS_A_MINUTE = 100;

/** A credential that was refused before there was a call. */
export interface Refusal {
  readonly action: string;
  readonly credential: 'token' | 'cookie';
  /** Why: no text of the credential. */
  readonly reason: string;
  /** Null if the tenant is not known, or does not believe the token's issuer. */
  readonly tenantId: string | null;
  /** Whose credential it surely is; null if that is not known. */
  readonly userId: string | null;
}

/** Audits refusals: once a minute for each tenant, person, address and reason. The metrics count all of them. */
export class RefusalAudit {
  readonly #services: Pick<CallServices, 'crossTenant' | 'publisher'>;
  #minute = 0;
  readonly #told = new Set<string>();

  constructor(services: Pick<CallServices, 'crossTenant' | 'publisher'>) {
    this.#services = services;
  }

  /** Notes a refusal. */
  note({ action, credential, reason, tenantId, userId }: Refusal, origin: CredentialOrigin, now: Date): void {
    const minute = Math.floor(now.getTime() / MINUTE_MS);
    if (minute !== this.#minute) this.#told.clear();
    this.#minute = minute;
    const cause = [origin.ip ?? '', reason, ...(userId === null ? [] : [userId])];
    const key = [tenantId ?? '', action, ...cause].join(' ');
    if (this.#told.has(key) || this.#told.size >= REFUSALS_A_MINUTE) return;
    this.#told.add(key);
    const event = credentialEvent({
      tenantId: tenantId ?? PLATFORM_TENANT,
      actor: userId === null ? null : `user:${userId}`,
      userId,
      action,
      outcome: 'denied',
      details: { credential, reason },
      origin,
      at: new Date(minute * MINUTE_MS),
      cause,
    });
    const entry = newEntry('core', event.data.tenant_id, [event], now);
    // Not awaited: the answer is a refusal in any case.
    addToOutbox(this.#services.crossTenant.core, [entry])
      .then(() => this.#services.publisher.publish(entry))
      .catch(() => undefined);
  }
}

/** Where a request comes from, before there is a call. */
export function originOf({ headers }: CredentialRequest): CredentialOrigin {
  return {
    ip: clientAddress(headers.get('x-forwarded-for')),
    userAgent: headers.get('user-agent')?.slice(0, 1000) ?? null,
  };
}
