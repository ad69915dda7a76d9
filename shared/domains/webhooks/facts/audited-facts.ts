import { z } from 'zod';
import { EVENT_SOURCE, type AuditData, type UsageThresholdData } from '../../../platform/bus/events.ts';
import type { TenantEvent } from '../../../platform/consume/event-consumer.ts';
import type { WebhookEventType } from '../event-types.ts';
import type { Fact } from './fact.ts';

type FactData = Fact['data'] | undefined;

/** What an act's event tells about it. Its details are read again, because any service may write any. */
type Reader = (event: AuditData) => { readonly type: WebhookEventType; readonly data: FactData };

const completion = z.object({
  status: z.enum(['completed', 'failed']),
  coverage_achieved: z.number(),
  fallback_used: z.boolean(),
});

const mapped = z.object({ needs_review: z.literal(true), record_id: z.string().nullable() });
const archived = z.object({ bytes: z.number() });
const failedPayment = z.object({
  invoice_id: z.string().nullable(),
  amount: z.number(),
  currency: z.string(),
  failure_code: z.string().nullable(),
});
const disabled = z.object({ reason: z.string() });

const orchestrationCompleted: Reader = ({ resource_id: id, details }) => ({
  type: 'orchestration.completed',
  data: withId('request_id', id, completion.safeParse(details).data),
});

const mappingToReview: Reader = ({ resource_id: id, details }) => {
  const read = mapped.safeParse(details).data;
  return {
    type: 'mapping.needs_review',
    data: withId('request_id', id, read === undefined ? undefined : { record_id: read.record_id }),
  };
};

/** The acts in the audit trail that are facts. An orchestration or a mapping that comes whole is completed when it is created. */
const READERS: Readonly<Record<string, Reader>> = {
  'orchestration.created': orchestrationCompleted,
  'orchestration.completed': orchestrationCompleted,
  'mapping.created': mappingToReview,
  'mapping.completed': mappingToReview,
  'record.archived': ({ resource_id: id, details }) => ({
    type: 'record.archived',
    data: withId('record_id', id, archived.safeParse(details).data),
  }),
  'payment.failed': ({ resource_id: id, details }) => ({
    type: 'payment.failed',
    data: withId('payment_id', id, failedPayment.safeParse(details).data),
  }),
  'webhook_endpoint.disabled': ({ resource_id: id, details }) => ({
    type: 'webhook.endpoint_disabled',
    data: withId('endpoint_id', id, disabled.safeParse(details).data),
  }),
};

function withId(name: string, id: string | null | undefined, data: FactData): FactData {
  return data === undefined || id === null || id === undefined ? undefined : { [name]: id, ...data };
}

/** The fact that an audit event tells; undefined for most. Only this service's own events tell any. */
export function factOfAudit({ source, id, at, data, tenant }: TenantEvent<AuditData>): Fact | undefined {
  if (source !== EVENT_SOURCE || !Object.hasOwn(READERS, data.action)) return undefined;
  const read = READERS[data.action]?.(data);
  if (read?.data === undefined) return undefined;
  return { tenantId: tenant.tenantId, type: read.type, eventId: id, at, data: read.data };
}

/** The fact that 80 or 100 % of a limit are used. */
export function factOfThreshold(event: TenantEvent<UsageThresholdData>): Fact | undefined {
  if (event.source !== EVENT_SOURCE) return undefined;
  const { tenant_id: _tenant, ...data } = event.data;
  return {
    tenantId: event.tenant.tenantId,
    type: 'quota.threshold_reached',
    eventId: event.id,
    at: event.at,
    data,
  };
}
