import { AUDIT_RECORDED, newEvent, type AuditData, type CloudEvent } from '../../platform/bus/events.ts';
import type { Origin } from '../../platform/call/call.ts';
import { derivedId } from '../../platform/ids/derived-id.ts';

/** Where a request comes from. */
export type CredentialOrigin = Pick<Origin, 'ip' | 'userAgent'>;

/** An entry of the audit trail that a credential causes before there is a call. */
export interface CredentialEntry {
  readonly tenantId: string;
  readonly actor: string | null;
  readonly userId: string | null;
  readonly action: string;
  readonly outcome?: AuditData['outcome'];
  readonly details: Readonly<Record<string, unknown>>;
  readonly origin: CredentialOrigin;
  /** When it happened, as every instance would say. */
  readonly at: Date;
  /** What the entry's identity is derived from, so that several instances make one entry. */
  readonly cause: readonly string[];
}

/** The audit event of an entry. */
export function credentialEvent(entry: CredentialEntry): CloudEvent<AuditData> {
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
