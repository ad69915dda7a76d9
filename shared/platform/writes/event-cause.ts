import { derivedId } from '../ids/derived-id.ts';

/**
 * What caused events: something that happens once to one row. The identities of its events are derived from it and from its
 * time. So an event that was lost can be made again from the row, and its consumers recognise it if they have it already.
 */
export interface EventCause {
  /** The row's id. */
  readonly of: string;
  /** What happened to the row. It happens once: `created`, `completed`. */
  readonly act: string;
}

/** A cause with its tenant and its time, in ms. */
export interface CausedAt extends EventCause {
  readonly tenantId: string;
  readonly at: Date;
}

/** The identity of a cause's usage event of a type. */
export function usageEventId({ tenantId, at, of, act }: CausedAt, usageType: string): string {
  return derivedId(at, ['usage', tenantId, of, act, usageType]);
}

/** The identity of a cause's audit event with an action. */
export function auditEventId({ tenantId, at, of, act }: CausedAt, action: string): string {
  return derivedId(at, ['audit', tenantId, of, act, action]);
}

/**
 * The cause of usage events whose write leaves no row that tells it from other writes: its entry in the audit trail.
 */
export function causeOfEntry(auditEvent: { readonly id: string }): EventCause {
  return { of: auditEvent.id, act: 'audited' };
}

/** A new row. */
export const CREATED = 'created';
/** A request that its response completed later. */
export const COMPLETED = 'completed';
