import type { CallServices } from '../call/call.ts';
import type { TenantContext } from '../auth/tenant-context.ts';
import type { EventShape, ReceivedEvent } from './read-event.ts';

/** What consumers may use. */
export type ConsumeServices = Pick<
  CallServices,
  'settings' | 'clock' | 'crossTenant' | 'tenants' | 'publisher' | 'blobs'
>;

/** An event of a tenant that exists. */
export interface TenantEvent<T> extends ReceivedEvent<T> {
  readonly tenant: TenantContext;
}

/**
 * One type of event that names a tenant in `data.tenant_id`, and what becomes of it. An event whose tenant does not exist, or
 * is erased, never comes here.
 */
export interface EventConsumer<T extends { readonly tenant_id: string }> extends EventShape<T> {
  readonly tenantless?: false;
  /**
   * Writes events, all or none in each database, idempotent by the event's source and id: any of them may come again.
   * Throws what the database throws, or {@link EventRefused}.
   */
  write(services: ConsumeServices, events: readonly TenantEvent<T>[], now: Date): Promise<void>;
}

/** One type of event that is no tenant's, as a vendor's webhooks are, and what becomes of it. No tenant is looked up. */
export interface TenantlessConsumer<T> extends EventShape<T> {
  readonly tenantless: true;
  /** As {@link EventConsumer.write}. */
  write(services: ConsumeServices, events: readonly ReceivedEvent<T>[], now: Date): Promise<void>;
}

/** A consumer of some type. It is given only what its own schema has read. */
export type AnyConsumer = EventConsumer<{ readonly tenant_id: string }> | TenantlessConsumer<unknown>;

/** An event that its consumer can never write; thrown for several, it is looked for among them. */
export class EventRefused extends Error {
  override name = 'EventRefused';
  readonly detail: string;
  constructor(detail: string) {
    super(detail);
    this.detail = detail;
  }
}
