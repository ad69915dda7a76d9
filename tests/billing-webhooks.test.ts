import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { storeEvent } from '../shared/domains/billing/events/store-events.ts';
import { isNoEvent, readEventText } from '../shared/domains/billing/events/stripe-event.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { outboxRelay } from '../shared/platform/writes/outbox-relay.ts';
import { startTestApp, until } from './harness/app.ts';
import { sendWebhook, signatureOf, stripeEvent, stripeId, WEBHOOK_PATH } from './harness/stripe-webhooks.ts';

const [NEW, OLD] = ['whsec_the-new-secret', 'whsec_the-old-secret'];
const KEY = 'sk_test_of-the-webhook-tests';

// Nothing listens at Stripe's address, and nothing consumes: the webhook takes events all the same.
const app = await startTestApp({
  silent: ['timer', 'serviceBus'],
  settings: {
    STRIPE_WEBHOOK_SECRETS: `${NEW},${OLD}`,
    STRIPE_SECRET_KEY: KEY,
    STRIPE_API_URL: 'http://127.0.0.1:9',
  },
});
const { billing } = app.admin;

const invoiceEvent = (members: Record<string, unknown> = {}) =>
  stripeEvent('invoice.paid', { id: stripeId('in'), object: 'invoice', status: 'paid' }, members);
const rowOf = async (eventId: string) =>
  (await billing`select * from stripe_events where event_id = ${eventId}`)[0];
const count = async (): Promise<number> =>
  Number((await billing`select count(*) as n from stripe_events`)[0]?.['n']);

/** The tables hold what they held before. */
async function expectNothingStored(during: () => Promise<unknown>): Promise<void> {
  const before = await count();
  await during();
  expect(await count()).toBe(before);
}

describe('a webhook that Stripe signed', () => {
  it('is stored with its message in one statement, and answered', async () => {
    const object = { id: stripeId('in'), object: 'invoice', status: 'paid', lines: ['ä', '\u{1f600}'] };
    const event = stripeEvent('invoice.paid', object, { created: 1_790_000_000 });
    const answer = await sendWebhook(app, event);
    expect([answer.status, answer.body]).toEqual([200, { event_id: event.id, status: 'received' }]);
    expect(await rowOf(event.id)).toMatchObject({
      type: 'invoice.paid',
      api_version: event['api_version'],
      livemode: false,
      object_type: 'invoice',
      object_id: object.id,
      tenant_id: null,
      created: new Date(1_790_000_000_000),
      payload: event,
      found_by: 'webhook',
      status: 'received',
      attempts: 0,
      processed_at: null,
    });
  });

  it('may be signed with any of the secrets while one is rolled, and by several at once', async () => {
    const payload = JSON.stringify(invoiceEvent());
    expect((await sendWebhook(app, payload, { secret: OLD })).status).toBe(200);
    const both = JSON.stringify(invoiceEvent());
    const [, other] = signatureOf(both, OLD).split(',v1=');
    const signature = `${signatureOf(both, 'whsec_of-another-endpoint')},v1=${other}`;
    expect((await sendWebhook(app, both, { signature })).status).toBe(200);
  });

  it('may be almost five minutes old', async () => {
    const signedAt = new Date(Date.now() - 295_000);
    expect((await sendWebhook(app, invoiceEvent(), { signedAt })).status).toBe(200);
  });

  it('has one row and one message, also when it comes twenty times at once', async () => {
    const event = invoiceEvent();
    const messages = await messagesOf(async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => sendWebhook(app, event)));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
      const received = answers.filter(({ body }) => body.status === 'received');
      const repeated = answers.filter(({ body }) => body.status === 'repeated');
      expect([received.length, repeated.length]).toEqual([1, 19]);
    });
    expect(messages).toBe(1);
    expect(await billing`select from stripe_events where event_id = ${event.id}`).toHaveLength(1);
  });

  it('is stored with others that come at the same time', async () => {
    const events = Array.from({ length: 60 }, () => invoiceEvent());
    const answers = await Promise.all(events.map((event) => sendWebhook(app, event)));
    expect(new Set(answers.map(({ body }) => body.status as string))).toEqual(new Set(['received']));
    const rows =
      await billing`select event_id from stripe_events where event_id = any(${events.map(({ id }) => id)})`;
    expect(rows).toHaveLength(60);
  });

  it('that came before is not stored again, whatever it holds', async () => {
    const event = invoiceEvent();
    await sendWebhook(app, event);
    const again = await sendWebhook(app, { ...event, data: { object: { id: 'in_x', object: 'invoice' } } });
    expect([again.status, again.body.status]).toEqual([200, 'repeated']);
    expect(await rowOf(event.id)).toMatchObject({ payload: event });
  });

  it('is stored and ignored, without a message, if its type is unknown or concerns nothing here', async () => {
    const events = [
      stripeEvent('radar.early_fraud_warning.created', {
        id: 'issfr_1',
        object: 'radar.early_fraud_warning',
      }),
      stripeEvent('invoice.upcoming', { object: 'invoice' }),
      stripeEvent('invoice.upcoming', { id: 'upcoming_in_1', object: 'invoice' }),
      stripeEvent('balance.available', { object: 'balance' }),
      stripeEvent('price.updated', { id: 'price_1', object: 'price' }),
      stripeEvent('customer.discount.created', { id: 'di_1', object: 'discount' }),
      stripeEvent('something_of_the_future', { id: 'x_1', object: 'x' }),
      // The object is not what the type says.
      stripeEvent('invoice.paid', { id: 'in_1', object: 'quote' }),
    ];
    const messages = await messagesOf(async () => {
      for (const event of events) {
        const answer = await sendWebhook(app, event);
        expect([answer.status, answer.body.status]).toEqual([200, 'ignored']);
        expect(await rowOf(event.id)).toMatchObject({ status: 'ignored', next_attempt_at: null });
      }
    });
    expect(messages).toBe(0);
  });

  it('is stored without its payload if PostgreSQL cannot hold that', async () => {
    for (const text of ['\0', '\ud800']) {
      const event = stripeEvent('invoice.paid', { id: stripeId('in'), object: 'invoice', description: text });
      expect((await sendWebhook(app, JSON.stringify(event))).body.status).toBe('received');
      expect(await rowOf(event.id)).toMatchObject({ status: 'received', payload: null });
    }
  });

  it('is taken from every version of the API', async () => {
    for (const version of ['2024-12-18.acacia', '2025-03-31.basil', '2020-08-27', null]) {
      const event = invoiceEvent({ api_version: version });
      expect((await sendWebhook(app, event)).status).toBe(200);
      expect(await rowOf(event.id)).toMatchObject({ api_version: version });
    }
  });
});

/** The messages that `send` leaves in the queue. */
async function messagesOf(send: () => Promise<unknown>): Promise<number> {
  const before = await messagesSent();
  await send();
  return (await messagesSent()) - before;
}

/** The messages in the queue, once all are there: the publisher deletes a row when the broker has its message. */
async function messagesSent(): Promise<number> {
  await until(
    () => billing`select from ops.outbox`,
    (rows) => rows.length === 0,
  );
  return app.broker.queueCounts()['stripe-events']?.active ?? 0;
}

describe('a webhook is refused with a clear 400, and nothing is stored,', () => {
  const payload = JSON.stringify(invoiceEvent());
  const signed = (secret = NEW, at = new Date()): string => signatureOf(payload, secret, at);
  const timestamp = Math.floor(Date.now() / 1000);
  it.each<[string, string | null]>([
    ['without a signature', null],
    ['with an empty one', ''],
    ['with what is none', 'v1'],
    ['with another secret', signed('whsec_of-somebody-else')],
    ['without a time', signed().replace(/^t=\d+,/, '')],
    ['with another time', signed().replace(/^t=\d+/, `t=${timestamp - 5}`)],
    ['with a time that is no number', signed().replace(/^t=\d+/, 't=now')],
    ['when it is replayed after 301 seconds', signed(NEW, new Date(Date.now() - 301_500))],
    ['with a scheme of test mode only', signed().replace('v1=', 'v0=')],
    ['with a shortened one', signed().slice(0, -1)],
    ['with the secret itself', `t=${timestamp},v1=${NEW}`],
  ])('%s', (_, signature) =>
    expectNothingStored(async () => {
      const answer = await sendWebhook(app, payload, { signature });
      expect([answer.status, answer.body.code]).toEqual([400, 'INVALID_REQUEST']);
      expect(answer.body.errors).toMatchObject([{ pointer: 'header/stripe-signature' }]);
    }),
  );

  it('when its body was changed, shortened or written again', () =>
    expectNothingStored(async () => {
      const signature = signed();
      const spaced = JSON.stringify(JSON.parse(payload), null, 1);
      for (const body of [payload.slice(0, -1), `${payload} `, payload.replace('paid', 'open'), spaced, '']) {
        const answer = await sendWebhook(app, body, { signature });
        expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, 'header/stripe-signature']);
      }
    }));

  const event = invoiceEvent();
  it.each<[string, string, string]>([
    ['that is not JSON', '{"id": "evt_1", ', ''],
    ['that is no object', '[]', ''],
    ['that is null', 'null', ''],
    ['that begins with a byte order mark', `\ufeff${JSON.stringify(event)}`, ''],
    [
      'of a thin event',
      JSON.stringify({
        id: 'evt_test_1',
        object: 'v2.core.event',
        type: 'v1.billing.meter.no_meter_found',
        created: '2026-11-26T16:40:32.000Z',
        livemode: false,
        related_object: { id: 'mtr_1', type: 'billing.meter', url: '/v1/billing/meters/mtr_1' },
      }),
      '/object',
    ],
    ['of another object', JSON.stringify({ id: 'in_1', object: 'invoice' }), '/object'],
    ['without an id', JSON.stringify({ ...event, id: undefined }), '/id'],
    ['with an id of another form', JSON.stringify({ ...event, id: 'evt_1\n' }), '/id'],
    ['without an object', JSON.stringify({ ...event, data: {} }), '/data/object'],
    ['with a time that is none', JSON.stringify({ ...event, created: 1e300 }), '/created'],
    ['of the other mode than the key’s', JSON.stringify({ ...event, livemode: true }), '/livemode'],
  ])('%s', (_, body, pointer) =>
    expectNothingStored(async () => {
      const answer = await sendWebhook(app, body);
      expect([answer.status, answer.body.code]).toEqual([400, 'INVALID_REQUEST']);
      expect(answer.body.errors[0].pointer).toBe(pointer);
    }),
  );

  it('of bytes that are not UTF-8', () =>
    expectNothingStored(async () => {
      const answer = await app.request('POST', WEBHOOK_PATH, {
        raw: new Uint8Array([0x7b, 0xff, 0x7d]),
        headers: { 'stripe-signature': signed() },
      });
      expect([answer.status, answer.body.errors[0].detail]).toEqual([400, 'is not UTF-8']);
    }));

  it('with 413 if it is larger than any event', () =>
    expectNothingStored(async () => {
      const large = stripeEvent('invoice.paid', { id: 'in_1', object: 'invoice', text: 'x'.repeat(2 ** 20) });
      const answer = await sendWebhook(app, large);
      expect([answer.status, answer.body.code]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    }));

  it('but taken with all the metadata that an invoice may have', async () => {
    const metadata = Object.fromEntries(
      Array.from({ length: 50 }, (_none, n) => [`key-${n}`, 'v'.repeat(500)]),
    );
    const lines = Array.from({ length: 10 }, (_none, n) => ({
      id: `il_${n}`,
      object: 'line_item',
      metadata,
    }));
    const object = {
      id: stripeId('in'),
      object: 'invoice',
      metadata,
      lines: { object: 'list', data: lines },
    };
    expect((await sendWebhook(app, stripeEvent('invoice.paid', object))).status).toBe(200);
  });
});

describe('the webhook', () => {
  it('answers 503 where no secret is configured', async () => {
    const without = await startTestApp({
      silent: ['timer', 'serviceBus'],
      settings: { STRIPE_WEBHOOK_SECRETS: '' },
    });
    const answer = await sendWebhook(without, invoiceEvent(), { secret: NEW });
    expect([answer.status, answer.body.code]).toEqual([503, 'DEPENDENCY_UNAVAILABLE']);
    expect(answer.headers.get('retry-after')).not.toBeNull();
    expect(await without.admin.billing`select from stripe_events`).toHaveLength(0);
  });

  it('writes no payload, no card, no secret and no key into the log', async () => {
    const card = { brand: 'visa', last4: '4242', fingerprint: 'Xt5EWLLDS7FJjR1c' };
    const charge = {
      id: stripeId('ch'),
      object: 'charge',
      billing_details: { name: 'Hank Scorpio', email: 'hank@globex.example' },
      payment_method_details: { type: 'card', card },
    };
    const event = stripeEvent('charge.succeeded', charge);
    expect((await sendWebhook(app, event)).status).toBe(200);
    await sendWebhook(app, event, { secret: 'whsec_of-somebody-else' });
    await sendWebhook(app, { ...event, livemode: true });
    await sendWebhook(app, JSON.stringify(event).slice(0, -1));
    await delay(100);
    const log = app.logLines.join('\n');
    for (const secret of [
      NEW,
      OLD,
      KEY,
      'whsec_of-somebody-else',
      'Scorpio',
      'hank@',
      card.fingerprint,
      '"last4"',
    ])
      expect(log).not.toContain(secret);
    expect(log).toContain('stripe-webhook-refused');
  });

  it('leaves its message to the relay if its process dies after the commit', async () => {
    const { id } = invoiceEvent();
    const event = readEventText(JSON.stringify({ ...invoiceEvent(), id }));
    if (isNoEvent(event)) throw new Error(event.detail);
    // Everything but the publication: its process dies here.
    const { crossTenant } = app.services;
    const dying = { crossTenant, publisher: { publish: () => undefined } };
    expect(await storeEvent(dying, event, { by: 'webhook', now: new Date() })).toBe('received');
    const before = app.broker.queueCounts()['stripe-events']?.active ?? 0;
    const asOf = new Date(Date.now() + 60_000);
    await runJob(app.services, outboxRelay, { triggeredBy: 'test', asOf });
    expect(await messagesSent()).toBe(before + 1);
  });
});
