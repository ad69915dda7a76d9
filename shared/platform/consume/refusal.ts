import type { Fault } from '../call/problem.ts';

/** Why a message or an event can never be processed as it is. Stable: operators filter by it. */
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

/** One reason. */
export type QuarantineReason = (typeof QUARANTINE_REASONS)[number];

/** A refusal: why, and where the faults lie, without the content. */
export interface Refusal {
  readonly reason: QuarantineReason;
  readonly detail: readonly Fault[];
  /** The tenant it speaks of, as far as that can be told. */
  readonly tenantId: string | null;
}

/** Tells a refusal from what was read. */
export function isRefusal(read: object): read is Refusal {
  return 'reason' in read;
}

/** Builds a refusal. */
export function refuse(
  reason: QuarantineReason,
  pointer: string,
  detail: string,
  tenantId: string | null = null,
): Refusal {
  return { reason, detail: [{ pointer, detail }], tenantId };
}
