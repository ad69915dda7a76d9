import type { CallServices } from '../call/call.ts';
import type { TenantContext } from '../auth/tenant-context.ts';
import type { EventShape, ReceivedEvent } from './read-event.ts';

/** What consumers may use. */
export type ConsumeServices = Pick<
  CallServices,
  'settings' | 'clock' | 'crossTenant' | 'tenants' | 'publisher' | 'blobs' | 'dataKeys'
>;

/** What a consumer says about one `write`, for the metrics. It may leave it out. */
export interface WriteTally {
  /** The events that were there already. */
  duplicates: number;
}

/** An event of a tenant that exists. */
export interface TenantEvent<T> extends ReceivedEvent<T> {
  readonly tenant: TenantContext;
}

/**
 * The consumer of one type of event that names a tenant in `data.tenant_id`. It gets no event of a tenant that does not
 * exist or is erased.
 */
export interface EventConsumer<T extends { readonly tenant_id: string }> extends EventShape<T> {
  readonly tenantless?: false;
  /**
   * Writes events, all or none in each database. It must be idempotent by the event's source and id, because an event may
   * come again. Throws what the database throws, or {@link EventRefused}.
   */
  write(
    services: ConsumeServices,
    events: readonly TenantEvent<T>[],
    now: Date,
    tally?: WriteTally,
  ): Promise<void>;
}

/** The consumer of one type of event without a tenant, for example a vendor's webhooks. No tenant is looked up. */
export interface TenantlessConsumer<T> extends EventShape<T> {
  readonly tenantless: true;
  /** Like {@link EventConsumer.write}. */
  write(
    services: ConsumeServices,
    events: readonly ReceivedEvent<T>[],
    now: Date,
    tally?: WriteTally,
  ): Promise<void>;
}

/** A consumer of any type. It gets only events that match its schema. */
export type AnyConsumer = EventConsumer<{ readonly tenant_id: string }> | TenantlessConsumer<unknown>;

/**
 * Thrown for an event that its consumer can never write. If it is thrown for several events, the refused one is searched
 * among them.
 */
export class EventRefused extends Error {
  override name = 'EventRefused';
  readonly detail: string;
  constructor(detail: string) {
    super(detail);
    this.detail = detail;
  }
}
