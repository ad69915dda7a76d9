import type { Fault } from '../call/problem.ts';

/** Why a message or an event can never be processed. Stable, because operators filter by it. */
export const QUARANTINE_REASONS = [
  'NOT_JSON',
  'TOO_MANY_EVENTS',
  'NOT_A_CLOUD_EVENT',
  'UNKNOWN_TYPE',
  'INVALID_DATA',
  'INVALID_TIME',
  'UNKNOWN_TENANT',
  'REFUSED_BY_DATABASE',
  'REFUSED',
  'UNPUBLISHABLE',
] as const;

export type QuarantineReason = (typeof QUARANTINE_REASONS)[number];

/** A refusal: its reason, and pointers to the faults, without the content. */
export interface Refusal {
  readonly reason: QuarantineReason;
  readonly detail: readonly Fault[];
  /** The event's tenant, if it can be read. */
  readonly tenantId: string | null;
}

/** Whether the result of a read is a refusal. */
export function isRefusal(read: object): read is Refusal {
  return 'reason' in read;
}

export function refuse(
  reason: QuarantineReason,
  pointer: string,
  detail: string,
  tenantId: string | null = null,
): Refusal {
  return { reason, detail: [{ pointer, detail }], tenantId };
}
