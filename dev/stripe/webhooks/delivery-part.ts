import { z } from 'zod';
import type { ControlRoute } from '../api/control-route.ts';
import { integer, parseParams, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { Deliverer } from './deliverer.ts';
import type { WebhookSettings } from './deliverer.ts';
import { addDelivery, listDeliveries } from './deliveries.ts';
import { faultsSchema, readFaults, setFaults } from './faults.ts';
import { addSecret } from './secrets.ts';

// As Stripe's dashboard offers at most.
const MAX_KEEP_OLD_MS = 24 * 60 * 60_000;
const SETTLED_TIMEOUT_MS = 10_000;

const rollSchema = z.strictObject({
  keep_old_ms: integer({ min: 0, max: MAX_KEEP_OLD_MS }).default(MAX_KEEP_OLD_MS),
});
const settledSchema = z.strictObject({ timeout_ms: integer({ min: 0 }).default(SETTLED_TIMEOUT_MS) });
const resendSchema = z.strictObject({ endpoint: text() });
const filterSchema = z.strictObject({
  endpoint: text().optional(),
  event: text().optional(),
  state: text().optional(),
});

function faultControls(deliverer: () => Deliverer): ControlRoute[] {
  const path = '/_stand-in/webhooks/faults';
  return [
    {
      method: 'GET',
      path,
      access: 'secret',
      run: ({ store }) => ({ json: { faults: readFaults(store) ?? null } }),
    },
    {
      // Replaces all faults; what is left out goes well.
      method: 'POST',
      path,
      access: 'secret',
      run: (standIn, { body }) => {
        const faults = parseParams(faultsSchema, body);
        standIn.perform(null, ({ store }) => setFaults(store, faults));
        return { json: { faults } };
      },
    },
    {
      method: 'DELETE',
      path,
      access: 'secret',
      run: (standIn) => {
        standIn.perform(null, ({ store }) => setFaults(store, null));
        deliverer().flush();
        return { json: { faults: null } };
      },
    },
  ];
}

function deliveryControls(deliverer: () => Deliverer): ControlRoute[] {
  return [
    {
      method: 'GET',
      path: '/_stand-in/webhooks/deliveries',
      access: 'secret',
      run: ({ store }, { query }) => {
        const { endpoint, event, state } = parseParams(filterSchema, query);
        const deliveries = listDeliveries(store).filter(
          (one) =>
            (endpoint === undefined || one.endpoint === endpoint) &&
            (event === undefined || one.event === event) &&
            (state === undefined || one.state === state),
        );
        return { json: { deliveries } };
      },
    },
    {
      // Answers once nothing is pending, or after a time.
      method: 'GET',
      path: '/_stand-in/webhooks/settled',
      access: 'secret',
      run: async (_standIn, { query }) => {
        const { timeout_ms } = parseParams(settledSchema, query);
        const pending = await deliverer().whenSettled(timeout_ms);
        return { json: { settled: pending === 0, pending } };
      },
    },
    {
      // As `stripe events resend` does.
      method: 'POST',
      path: '/_stand-in/webhooks/events/{id}/resend',
      access: 'secret',
      run: (standIn, { ids: [id = ''], body }) => {
        const { endpoint } = parseParams(resendSchema, body);
        const delivery = standIn.perform(null, (context) =>
          addDelivery(
            context.store,
            context.find('event', id),
            context.find('webhook_endpoint', endpoint, 'endpoint').id,
            Date.now(),
          ),
        );
        deliverer().deliver(delivery);
        return { json: delivery };
      },
    },
    {
      // As the dashboard does: both secrets sign until the old one ends.
      method: 'POST',
      path: '/_stand-in/webhooks/endpoints/{id}/roll',
      access: 'secret',
      run: (standIn, { ids: [id = ''], body }) => {
        const { keep_old_ms } = parseParams(rollSchema, body);
        const secret = standIn.perform(null, (context) =>
          addSecret(context.store, context.find('webhook_endpoint', id).id, Date.now() + keep_old_ms),
        );
        return { json: { secret } };
      },
    },
  ];
}

/** Sends events to the endpoints that take them. */
export function webhookDelivery(settings: WebhookSettings = {}): Part {
  let running: Deliverer | undefined;
  const deliverer = (): Deliverer => {
    if (running === undefined) throw new Error('the delivery of webhooks has not started');
    return running;
  };
  return {
    controls: [...faultControls(deliverer), ...deliveryControls(deliverer)],
    start: (standIn) => {
      const started = new Deliverer(standIn, settings);
      running = started;
      return { close: () => started.stop() };
    },
  };
}
