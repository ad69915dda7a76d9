import type { Call } from './call.ts';
import type { Problem } from './problem.ts';

/** An amount of one type of usage. */
export interface UsageAmount {
  readonly usage_type: string;
  readonly usage_amount: number;
}

/** What one write will use. */
export interface QuotaRequest {
  /** The id that the write's usage event carries: by it the reservation is settled, or found abandoned. */
  readonly reservationId: string;
  readonly usage: readonly UsageAmount[];
}

/**
 * The free tier's quota. A write reserves what it will use before it is made; its usage event turns the reservation into
 * usage. The billing domain implements it.
 */
export interface Quota {
  /** Whether the tenant's usage is limited at all: paid plans are not. */
  limits(call: Call): boolean;
  /** Reserves for each write all that it asks for, or nothing. Answers the refused ones by reservation id. */
  reserve(call: Call, requests: readonly QuotaRequest[]): Promise<ReadonlyMap<string, Problem>>;
  /** As {@link reserve}, for one write that leaves no row with the reservation's id. The id is undefined without a limit. */
  reserveOne(
    call: Call,
    usage: readonly UsageAmount[],
  ): Promise<{ readonly reservationId: string | undefined } | { readonly problem: Problem }>;
  /** Gives back what was reserved for writes that did not happen. Never throws: a timer finds what it could not give back. */
  release(call: Call, reservationIds: readonly string[]): Promise<void>;
}
