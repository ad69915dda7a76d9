import { randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { expect } from 'vitest';
import { webhooksRetry } from '../../shared/domains/webhooks/deliveries/retry-job.ts';
import { deliveriesConsumerWith } from '../../shared/domains/webhooks/deliveries/send-deliveries.ts';
import { newEvent, WEBHOOK_DELIVERY_DUE } from '../../shared/platform/bus/events.ts';
import { openBatch } from '../../shared/platform/consume/consume.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { runJob } from '../../shared/platform/jobs/job.ts';
import { startTestApp, until } from './app.ts';
import { startWebhookReceiver, type ReceivedWebhook } from './webhook-receiver.ts';

export const ENDPOINTS = '/api/v1/webhook-endpoints';
export const DELIVERIES = '/api/v1/webhook-deliveries';
/** Nothing listens there. */
export const CLOSED_PORT = 9;
const HOUR_MS = 3_600_000;

/** An endpoint of a tenant, at a path of its own. */
export interface Endpoint {
  readonly id: string;
  readonly secret: string;
  readonly path: string;
}

/** The app beside a receiver, and what tests of webhooks do with them. */
export async function startWebhookScene() {
  const receiver = await startWebhookReceiver();
  const app = await startTestApp({
    settings: {
      WEBHOOKS_ALLOW_LOOPBACK: 'true',
      WEBHOOKS_PORTS: `${receiver.port},${CLOSED_PORT}`,
      EXTRA_CA_CERTS: receiver.authority,
    },
  });
  const { core } = app.admin;
  const key = app.keys.acme.owner;
  return {
    app,
    receiver,
    key,

    /** Makes an endpoint, at which the receiver answers 204 unless it is told otherwise. */
    makeEndpoint: async (types: readonly string[], owner = key, url?: string): Promise<Endpoint> => {
      const path = `/${randomUUID()}`;
      const body = { url: url ?? receiver.url(path), event_types: types };
      const made = await app.request('POST', ENDPOINTS, { key: owner, body });
      expect(made.status, JSON.stringify(made.body)).toBe(201);
      return { id: made.body.endpoint_id, secret: made.body.secret, path };
    },

    /** What came to an endpoint, at least so many. */
    came: ({ path }: Endpoint, messages = 1) =>
      until(
        () => Promise.resolve(receiver.at(path)),
        (received) => received.length >= messages,
      ),

    /** Acme's deliveries to an endpoint, once one of them has the status. */
    deliveriesTo: (endpoint: Endpoint, status: string): Promise<Record<string, string>[]> =>
      until(
        async () =>
          (await app.request('GET', `${DELIVERIES}?endpoint_id=${endpoint.id}`, { key })).body.items,
        (items: Record<string, string>[]) => items.some((item) => item['status'] === status),
      ),

    /** Adds a waiting delivery, of which no message is on its way. */
    addDelivery: async (
      endpoint: { readonly id: string },
      columns: Readonly<Record<string, unknown>> = {},
    ) => {
      const row = {
        tenant_id: 'acme',
        delivery_id: newId(),
        endpoint_id: endpoint.id,
        event_id: newId(),
        event_type: 'record.archived',
        payload: '{"type":"record.archived"}',
        next_attempt_at: new Date(Date.now() + HOUR_MS),
        created_at: new Date(),
        ...columns,
      };
      await core`insert into ops.webhook_deliveries ${core(row as never)}`;
      return row;
    },

    read: async (deliveryId: string) =>
      (await core`select * from ops.webhook_deliveries where delivery_id = ${deliveryId}`)[0],

    endpointRow: async ({ id }: Endpoint) =>
      (await core`select * from ops.webhook_endpoints where endpoint_id = ${id}`)[0],

    /** Consumes a message for the first attempts of deliveries, as the queue's trigger does. */
    send: async (
      deliveries: readonly { readonly delivery_id: string; readonly tenant_id: string }[],
      timeoutMs = 5_000,
    ): Promise<void> => {
      const events = deliveries.map(({ tenant_id, delivery_id }) =>
        newEvent(WEBHOOK_DELIVERY_DUE, { tenant_id, delivery_id, attempt: 0 }, new Date()),
      );
      const body = Buffer.from(JSON.stringify(events));
      const message = { body, messageId: newId(), contentType: null, properties: {} };
      const consumers = [deliveriesConsumerWith({ timeoutMs })];
      await openBatch(app.services, 'webhook-deliveries', consumers, [message]).consume();
    },

    runRetry: () => runJob(app.services, webhooksRetry, { triggeredBy: 'test' }),
  };
}

/** Verifies a message as a receiver would, and returns what it says. */
export function verified(message: ReceivedWebhook | undefined, secret: string) {
  if (message === undefined) throw new Error('nothing came');
  return new Webhook(secret).verify(message.body, { ...message.headers }) as {
    readonly type: string;
    readonly timestamp: string;
    readonly data: Record<string, unknown>;
  };
}
