/** What a tenant can be told. The names are stable, because receivers depend on them. `docs/webhooks.md` has their data. */
export const WEBHOOK_EVENT_TYPES = [
  'orchestration.completed',
  'mapping.needs_review',
  'record.archived',
  'quota.threshold_reached',
  'payment.failed',
  'webhook.endpoint_disabled',
] as const;

export type WebhookEventType = (typeof WEBHOOK_EVENT_TYPES)[number];

/** The type of the message with which a tenant tests an endpoint. No endpoint asks for it. */
export const WEBHOOK_TEST = 'webhook.test';
