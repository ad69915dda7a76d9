import type { WebhookEventType } from '../event-types.ts';

/** Something that happened to a tenant and that its endpoints may be told. */
export interface Fact {
  readonly tenantId: string;
  readonly type: WebhookEventType;
  /** The identity of the event that told it. Every message about it has this id. */
  readonly eventId: string;
  readonly at: Date;
  /** Ids and numbers, never content. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** The text that is sent and signed. */
export function payloadOf(
  of: { readonly tenantId: string; readonly at: Date; readonly data: Fact['data'] },
  type: string,
): string {
  return JSON.stringify({
    type,
    timestamp: of.at.toISOString(),
    data: { tenant_id: of.tenantId, ...of.data },
  });
}
