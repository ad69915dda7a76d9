import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import { AUDIT_RECORDED, newEvent, type AuditData, type CloudEvent } from '../../../platform/bus/events.ts';
import type { CallServices, Origin } from '../../../platform/call/call.ts';
import { derivedId } from '../../../platform/ids/derived-id.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { addToOutbox, newEntry } from '../../../platform/writes/outbox.ts';
import type { TokenFault } from './token-refused.ts';

/** Where a request with a token comes from. */
export type TokenOrigin = Pick<Origin, 'ip' | 'userAgent'>;

/** An entry of the audit trail that a token causes. */
export interface TokenEntry {
  readonly tenantId: string;
  readonly actor: string | null;
  readonly userId: string | null;
  readonly action: string;
  readonly outcome?: AuditData['outcome'];
  readonly details: Readonly<Record<string, unknown>>;
  readonly origin: TokenOrigin;
  /** When it happened, as every instance would say. */
  readonly at: Date;
  /** What the entry's identity is derived from, so that several instances make one entry. */
  readonly cause: readonly string[];
}

/** The audit event of an entry. */
export function tokenEvent(entry: TokenEntry): CloudEvent<AuditData> {
  const { tenantId, action, at, origin } = entry;
  return newEvent(
    AUDIT_RECORDED,
    {
      tenant_id: tenantId,
      user_id: entry.userId,
      actor: entry.actor,
      action,
      resource_type: 'sign-in',
      resource_id: null,
      outcome: entry.outcome ?? 'success',
      details: { ...entry.details },
      ip_address: origin.ip,
      user_agent: origin.userAgent,
    },
    at,
    derivedId(at, ['audit', tenantId, action, ...entry.cause]),
  );
}

/** The most refusals that one process audits in a minute: more tell nobody more, and an attacker must not fill the trail. */
const REFUSALS_A_MINUTE = 100;

/** Audits refused tokens: once a minute for each tenant, address and reason. The metric counts all of them. */
export class RefusalAudit {
  readonly #services: Pick<CallServices, 'crossTenant' | 'publisher'>;
  #minute = 0;
  readonly #told = new Set<string>();

  constructor(services: Pick<CallServices, 'crossTenant' | 'publisher'>) {
    this.#services = services;
  }

  /** Notes a refusal. `tenantId`: null if the tenant is not known, or does not believe the token's issuer. */
  note(fault: TokenFault, tenantId: string | null, origin: TokenOrigin, now: Date): void {
    const minute = Math.floor(now.getTime() / MINUTE_MS);
    if (minute !== this.#minute) this.#told.clear();
    this.#minute = minute;
    const cause = [origin.ip ?? '', fault];
    const key = [tenantId ?? '', ...cause].join(' ');
    if (this.#told.has(key) || this.#told.size >= REFUSALS_A_MINUTE) return;
    this.#told.add(key);
    const event = tokenEvent({
      tenantId: tenantId ?? PLATFORM_TENANT,
      actor: null,
      userId: null,
      action: 'sign_in.refused',
      outcome: 'denied',
      details: { credential: 'token', reason: fault },
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
