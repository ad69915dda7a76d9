import { z } from 'zod';
import { newId } from '../ids/ids.ts';
import { lowerUuid, uuid } from '../ids/uuid.ts';
import { activeTraceparent } from '../telemetry/tracing.ts';

/** The source of this service's own events (CloudEvents `source`). */
export const EVENT_SOURCE = '/comply-ai/backend';

export const USAGE_RECORDED = 'com.comply-ai.usage.recorded.v1';
export const AUDIT_RECORDED = 'com.comply-ai.audit.recorded.v1';
export const ARCHIVE_REQUESTED = 'com.comply-ai.record.archive-requested.v1';
export const STRIPE_EVENT_RECEIVED = 'com.comply-ai.stripe.event-received.v1';
export const USAGE_THRESHOLD_REACHED = 'com.comply-ai.usage.threshold-reached.v1';
export const BILLING_CHANGED = 'com.comply-ai.billing.changed.v1';
export const ALERT_TRIGGERED = 'com.comply-ai.alert.triggered.v1';
export const ALERT_RESOLVED = 'com.comply-ai.alert.resolved.v1';
export const WEBHOOK_DELIVERY_DUE = 'com.comply-ai.webhook.delivery-due.v1';
export const WEBHOOK_ENDPOINT_DISABLED = 'com.comply-ai.webhook.endpoint-disabled.v1';

export const USER_INVITED = 'com.comply-ai.user.invited.v1';
export const EMAIL_VERIFICATION_REQUESTED = 'com.comply-ai.user.email-verification-requested.v1';
export const PASSWORD_RESET_REQUESTED = 'com.comply-ai.user.password-reset-requested.v1';

const text = (max: number) => z.string().min(1).max(max);
/** The name of a user, service or object. It is often a UUID, which is then in lower case. */
const name = (max: number) => z.string().max(max).overwrite(lowerUuid);
const tenantId = text(63);

/** The data of a usage event: a tenant used something. */
export const usageData = z.object({
  tenant_id: tenantId,
  user_id: name(255).optional(),
  subscription_id: uuid.optional(),
  usage_type: text(100).describe('api_calls, storage_gb, detector_runs, analysis_runs, or a producer’s own.'),
  usage_amount: z.number().nonnegative().max(1e9),
  usage_unit: text(50).default('count'),
  resource_type: text(100).optional(),
  resource_id: name(255).min(1).optional(),
  reservation_id: uuid.optional().describe('The quota reservation made for it; only this service sets it.'),
});
export type UsageData = z.output<typeof usageData>;

/** The data of an audit event: who did what to what. Never content. */
export const auditData = z.object({
  tenant_id: tenantId,
  user_id: name(255).nullish(),
  actor: name(255).nullish().describe('The key or service that acted.'),
  action: text(255),
  resource_type: text(255),
  resource_id: name(255).nullish(),
  outcome: z.enum(['success', 'denied', 'failure']).default('success'),
  details: z.record(z.string(), z.unknown()).default({}),
  ip_address: z.union([z.ipv4(), z.ipv6()]).nullish(),
  user_agent: z.string().max(1000).nullish(),
  trace_id: z.string().max(64).nullish(),
});
export type AuditData = z.output<typeof auditData>;

/** A record to be written to its blob. */
export const archiveData = z.object({ tenant_id: tenantId, record_id: uuid });
export type ArchiveData = z.output<typeof archiveData>;

/** An event of Stripe that is stored, and not yet processed. Only its id: the row has the rest. */
export const stripeEventData = z.object({ stripe_event_id: text(255) });
export type StripeEventData = z.output<typeof stripeEventData>;

/** Something that other domains know of a tenant's billing has changed. They read what it is now. */
export const billingChangedData = z.object({ tenant_id: tenantId });
export type BillingChangedData = z.output<typeof billingChangedData>;

/** A tenant, or one of its users, has used a good part of a limit. Told once a period for each threshold. */
export const usageThresholdData = z.object({
  tenant_id: tenantId,
  user_id: name(255).optional(),
  usage_type: text(100),
  reset_period: text(20),
  mode: z.enum(['hard', 'soft', 'metered']),
  threshold_percent: z.number().int(),
  used: z.number(),
  limit: z.number(),
  period_start: z.iso.datetime(),
  period_end: z.iso.datetime(),
});
export type UsageThresholdData = z.output<typeof usageThresholdData>;

/** A condition of a tenant held, and an alert was raised. No names: the tenant chose them. */
export const alertTriggeredData = z.object({
  tenant_id: tenantId,
  alert_id: uuid,
  config_id: uuid,
  condition_type: text(50),
  severity: text(20),
  measured_value: z.number(),
  threshold: z.number(),
  triggered_at: z.iso.datetime(),
});
export type AlertTriggeredData = z.output<typeof alertTriggeredData>;

/** An alert is over. */
export const alertResolvedData = alertTriggeredData.extend({
  resolved_at: z.iso.datetime(),
  resolution: z
    .enum(['recovered', 'by_person', 'config_deleted', 'config_inactive'])
    .describe('`by_person`: the trail also has the request that did it.'),
});
export type AlertResolvedData = z.output<typeof alertResolvedData>;

/** A delivery of a webhook is due. Of several messages for one attempt only the first sends it. */
export const webhookDeliveryDueData = z.object({
  tenant_id: tenantId,
  delivery_id: uuid,
  attempt: z.number().int().nonnegative().describe('The attempts before this one.'),
});
export type WebhookDeliveryDueData = z.output<typeof webhookDeliveryDueData>;

/**
 * A person is to be told something by e-mail, with a one-time token. The token is nowhere else: whoever reads these events can use
 * it, so only the sender of mails may.
 */
export const notificationData = z.object({
  tenant_id: tenantId.describe('`platform` for what concerns a person in every tenant.'),
  email: text(320),
  token: text(200),
  expires_at: z.iso.datetime(),
});
export type NotificationData = z.output<typeof notificationData>;

/** An invitation to a tenant. */
export const userInvitedData = notificationData.extend({
  invitation_id: uuid,
  tenant_name: text(200),
  roles: z.array(text(100)),
});
export type UserInvitedData = z.output<typeof userInvitedData>;

/** An owner is to be told by e-mail that nothing is sent to an endpoint any more. Without a token. */
export const endpointDisabledData = z.object({
  tenant_id: tenantId,
  email: text(320),
  endpoint_id: uuid,
  reason: z.enum(['failing', 'gone']),
  disabled_at: z.iso.datetime(),
});
export type EndpointDisabledData = z.output<typeof endpointDisabledData>;

/**
 * The envelope (CloudEvents 1.0, JSON format). Extension attributes are allowed and dropped. An event's identity is `source`
 * + `id`.
 */
export const cloudEvent = z.object({
  specversion: z.literal('1.0'),
  id: text(255),
  source: text(255),
  type: text(255),
  time: z.iso.datetime({ offset: true }),
  datacontenttype: z
    .string()
    .regex(/^application\/([\w.-]+\+)?json\s*(;|$)/i, 'must be JSON')
    .optional(),
  /** The span that caused it (CloudEvents' Distributed Tracing extension). Whatever it is, the event counts. */
  traceparent: z.string().optional().catch(undefined),
  data: z.unknown(),
});

/** A CloudEvent of this service, ready to publish. */
export interface CloudEvent<T = unknown> {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** The span that caused it. Absent if that is not exported: then nothing could follow it. */
  readonly traceparent?: string;
  readonly data: T;
}

/** Builds an event of this service. The present span is its cause. `id`: its identity, if it is derived from what caused it. */
export function newEvent<T>(type: string, data: T, at: Date, id = newId(at)): CloudEvent<T> {
  const traceparent = activeTraceparent();
  return {
    specversion: '1.0',
    id,
    source: EVENT_SOURCE,
    type,
    time: at.toISOString(),
    datacontenttype: 'application/json',
    ...(traceparent === undefined ? {} : { traceparent }),
    data,
  };
}

/** The queue for events of a type; undefined for an unknown type. */
export function queueOf(type: string): string | undefined {
  switch (type) {
    case USAGE_RECORDED:
      return 'usage-events';
    case AUDIT_RECORDED:
    // Their reader is the audit trail.
    case USAGE_THRESHOLD_REACHED:
    case ALERT_TRIGGERED:
    case ALERT_RESOLVED:
      return 'audit-events';
    case ARCHIVE_REQUESTED:
      return 'archive-records';
    case STRIPE_EVENT_RECEIVED:
      return 'stripe-events';
    case USER_INVITED:
    case EMAIL_VERIFICATION_REQUESTED:
    case PASSWORD_RESET_REQUESTED:
    case WEBHOOK_ENDPOINT_DISABLED:
      return 'notifications';
    case BILLING_CHANGED:
      return 'billing-changes';
    case WEBHOOK_DELIVERY_DUE:
      return 'webhook-deliveries';
    default:
      return undefined;
  }
}
