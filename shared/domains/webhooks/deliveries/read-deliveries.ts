import type { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { when } from '../../../platform/db/keyset.ts';
import { freeForm } from '../../../platform/http/fields.ts';
import { listReply } from '../../../platform/http/list-reply.ts';
import type { Page } from '../../../platform/http/pagination.ts';
import type { deliveriesQuery, DeliveryView, DeliveryWithPayload } from '../schemas.ts';

/** What a delivery's row shows in lists. */
export const DELIVERY_COLUMNS = `delivery_id, endpoint_id, event_id, event_type, status, attempts, outcome, response_status,
  created_at, last_attempt_at, next_attempt_at, give_up_at, delivered_at`;

export function noSuchDelivery(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such webhook delivery.' });
}

/** A page of the tenant's deliveries. */
export function listDeliveries(
  call: Call,
  query: z.output<typeof deliveriesQuery>,
  url: string,
): Promise<Reply<200, Page<DeliveryView>>> {
  return listReply(call, query, url, {
    table: 'ops.webhook_deliveries',
    columns: DELIVERY_COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'delivery_id',
    idType: 'uuid',
    conditions: [
      ...when('endpoint_id = ?', query.endpoint_id),
      ...when('status = ?', query.status),
      ...when('event_type = ?', query.event_type),
    ],
  });
}

/** One delivery, with what is sent. @throws Problem 404. */
export async function readDelivery(call: Call, deliveryId: string): Promise<Reply<200, DeliveryWithPayload>> {
  const [row] = await call.tenant.statement<DeliveryView & { payload: string; [column: string]: unknown }>(
    `select r.* from scope, lateral (
       select ${DELIVERY_COLUMNS}, payload from ops.webhook_deliveries d
        where d.tenant_id = scope.tenant_id and d.delivery_id = $2 offset 0) r`,
    [deliveryId],
  );
  if (row === undefined) throw noSuchDelivery();
  return ok({ ...row, payload: freeForm.parse(JSON.parse(row.payload)) });
}
