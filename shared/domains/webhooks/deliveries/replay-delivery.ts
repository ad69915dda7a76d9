import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { accepted, type Reply } from '../../../platform/call/reply.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { newId } from '../../../platform/ids/ids.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { ENDPOINT_AUDIT_TYPE, lockEndpoint } from '../endpoints/endpoint-row.ts';
import { WEBHOOK_TEST } from '../event-types.ts';
import { payloadOf } from '../facts/fact.ts';
import type { DeliveryView } from '../schemas.ts';
import { dueEvent, overdueAt } from './due-event.ts';
import { DELIVERY_COLUMNS, noSuchDelivery } from './read-deliveries.ts';

type DeliveryRow = DeliveryView & { readonly [column: string]: unknown };

/**
 * Sends a delivery again, whatever became of it, with the same id and body: a receiver that has it already knows it by that. It
 * gets another 24 hours.
 * @throws Problem 404, 409 if its endpoint is deleted or switched off.
 */
export function replayDelivery(call: Call, deliveryId: string): Promise<Reply<202, DeliveryView>> {
  const { tenantId } = call.tenant;
  return performWrite(call, async (transaction) => {
    const [before] = await transaction.query<DeliveryRow>(
      `select ${DELIVERY_COLUMNS} from ops.webhook_deliveries where tenant_id = $1 and delivery_id = $2 for update`,
      [tenantId, deliveryId],
    );
    if (before === undefined) throw noSuchDelivery();
    await requireActive(call, transaction, before.endpoint_id);
    const [row] = await transaction.query<DeliveryRow>(
      `update ops.webhook_deliveries set status = 'pending', next_attempt_at = $3, give_up_at = null
        where tenant_id = $1 and delivery_id = $2 returning ${DELIVERY_COLUMNS}`,
      [tenantId, deliveryId, overdueAt(call.now)],
    );
    if (row === undefined) throw new Error('a row that is locked was not written');
    return {
      reply: accepted(row),
      audit: {
        action: 'webhook_delivery.replayed',
        resource_type: 'webhook_delivery',
        resource_id: deliveryId,
        details: { was: before.status, event_type: row.event_type },
      },
      events: [dueEvent({ ...row, tenant_id: tenantId }, call.now)],
    };
  });
}

/**
 * Sends a message of the type `webhook.test` to an endpoint, whatever types it asks for.
 * @throws Problem 404, 409 if it is switched off.
 */
export function testEndpoint(call: Call, endpointId: string): Promise<Reply<202, DeliveryView>> {
  const { tenantId } = call.tenant;
  return performWrite(call, async (transaction) => {
    if (!(await lockEndpoint(call, transaction, endpointId)).is_active) throw switchedOff();
    const id = newId(call.now);
    const payload = payloadOf({ tenantId, at: call.now, data: { endpoint_id: endpointId } }, WEBHOOK_TEST);
    const [row] = await transaction.query<DeliveryRow>(
      `insert into ops.webhook_deliveries (tenant_id, delivery_id, endpoint_id, event_id, event_type, payload, next_attempt_at, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8) returning ${DELIVERY_COLUMNS}`,
      [tenantId, id, endpointId, newId(call.now), WEBHOOK_TEST, payload, overdueAt(call.now), call.now],
    );
    if (row === undefined) throw new Error('an inserted row was not returned');
    return {
      reply: accepted(row),
      audit: {
        action: 'webhook_endpoint.tested',
        resource_type: ENDPOINT_AUDIT_TYPE,
        resource_id: endpointId,
      },
      events: [dueEvent({ ...row, tenant_id: tenantId }, call.now)],
    };
  });
}

async function requireActive(call: Call, transaction: TenantTransaction, endpointId: string): Promise<void> {
  const [endpoint] = await transaction.query<{ is_active: boolean }>(
    `select is_active from ops.webhook_endpoints where tenant_id = $1 and endpoint_id = $2`,
    [call.tenant.tenantId, endpointId],
  );
  if (endpoint === undefined) throw new Problem('CONFLICT', { detail: 'The endpoint was deleted.' });
  if (!endpoint.is_active) throw switchedOff();
}

function switchedOff(): Problem {
  return new Problem('CONFLICT', {
    detail: 'The endpoint is switched off: replace it with is_active true first.',
  });
}
