import Stripe from 'stripe';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { route } from './api/route.ts';
import { StripeError } from './api/stripe-error.ts';
import { startTestStripe } from './test-stripe.ts';
import type { TestStripe } from './test-stripe.ts';

let test: TestStripe;

const declined = new StripeError(
  402,
  { type: 'card_error', code: 'card_declined', message: 'No.' },
  { keepsChanges: true },
);

beforeAll(async () => {
  test = await startTestStripe({
    moreParts: [
      {
        routes: [
          route({
            method: 'POST',
            path: '/v1/charges',
            params: {},
            run: (context) => {
              context.create('customer.created', {
                ...context.find('customer', 'cus_first'),
                id: 'cus_kept',
              });
              throw declined;
            },
          }),
          route({
            method: 'POST',
            path: '/v1/quotes',
            params: {},
            run: (context) => {
              context.create('customer.created', {
                ...context.find('customer', 'cus_first'),
                id: 'cus_undone',
              });
              throw new Error('a mistake of the stand-in');
            },
          }),
        ],
      },
    ],
  });
});
afterAll(() => test.close());

const refusal = async (request: Promise<unknown>): Promise<Stripe.errors.StripeError> => {
  try {
    await request;
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

it('a wrong key is 401, with nothing of the key but its ends', async () => {
  const error = await refusal(test.connect({}, 'sk_test_of_somebody_else').customers.list());
  expect(error).toBeInstanceOf(Stripe.errors.StripeAuthenticationError);
  expect(error).toMatchObject({ statusCode: 401, message: 'Invalid API Key provided: sk_test_********else' });
});

it('a request without a key is 401', async () => {
  const answer = await fetch(`${test.server.url}/v1/customers`);
  expect(answer.status).toBe(401);
  expect(await answer.text()).toContain('You did not provide an API key');
});

it('each answer has a request id of its own and the version that it was asked in', async () => {
  const first = await test.stripe.customers.list();
  const second = await test.stripe.customers.list({}, { apiVersion: '2026-09-30.endive' });
  expect(first.lastResponse.requestId).toMatch(/^req_\w{14}$/);
  expect(first.lastResponse.requestId).not.toBe(second.lastResponse.requestId);
  expect(first.lastResponse.apiVersion).toBe(Stripe.API_VERSION);
  expect(second.lastResponse.apiVersion).toBe('2026-09-30.endive');
});

it('an unknown version is 400; a version whose objects look different is 501', async () => {
  const unknown = await refusal(test.stripe.customers.list({}, { apiVersion: 'yesterday' }));
  expect(unknown).toMatchObject({ statusCode: 400, rawType: 'invalid_request_error' });
  const old = await refusal(test.stripe.customers.list({}, { apiVersion: '2024-06-20' }));
  expect(old.statusCode).toBe(501);
});

it('what the stand-in does not do is 501, says so, and is not tried again', async () => {
  const patient = test.connect({ maxNetworkRetries: 2 });
  const before = Date.now();
  const error = await refusal(patient.taxRates.list());
  expect(Date.now() - before).toBeLessThan(400); // the SDK waits half a second before a second try
  expect(error).toMatchObject({ statusCode: 501, rawType: 'api_error', code: 'not_in_stand_in' });
  expect(error.message).toContain('GET /v1/tax_rates');
  const v2 = await refusal(test.stripe.v2.core.events.list({ object_id: 'cus_1' }));
  expect(v2.statusCode).toBe(501);
});

it('a parameter that Stripe has and the stand-in has not is 501', async () => {
  const error = await refusal(test.stripe.customers.create({ balance: 5 }));
  expect(error).toMatchObject({ statusCode: 501, param: 'balance' });
});

it('an unknown parameter is refused, also in a hash, and nothing is made', async () => {
  const before = (await test.stripe.customers.list()).data.length;
  const top = await refusal(test.stripe.rawRequest('POST', '/v1/customers', { colour: 'red' }));
  expect(top).toMatchObject({
    statusCode: 400,
    rawType: 'invalid_request_error',
    code: 'parameter_unknown',
    param: 'colour',
    message: 'Received unknown parameter: colour',
  });
  const nested = await refusal(
    test.stripe.rawRequest('POST', '/v1/customers', { invoice_settings: { colour: 'red' } }),
  );
  expect(nested).toMatchObject({ code: 'parameter_unknown', param: 'invoice_settings[colour]' });
  const inQuery = await refusal(test.stripe.rawRequest('GET', '/v1/customers?colour=red'));
  expect(inQuery).toMatchObject({ code: 'parameter_unknown', param: 'colour' });
  expect((await test.stripe.customers.list()).data).toHaveLength(before);
});

it('a missing, an empty and a malformed parameter are told apart', async () => {
  const post = (body: object): Promise<Stripe.errors.StripeError> =>
    refusal(test.stripe.rawRequest('POST', '/v1/products', body));
  expect(await post({})).toMatchObject({ statusCode: 400, code: 'parameter_missing', param: 'name' });
  expect(await post({ name: '' })).toMatchObject({ code: 'parameter_invalid_empty', param: 'name' });
  expect(await post({ name: 'Plan', active: 'perhaps' })).toMatchObject({ statusCode: 400, param: 'active' });
  expect(await post({ name: { a: 1 } })).toMatchObject({ statusCode: 400, param: 'name' });
  const limit = await refusal(test.stripe.rawRequest('GET', '/v1/products?limit=ten'));
  expect(limit).toMatchObject({
    code: 'parameter_invalid_integer',
    param: 'limit',
    message: 'Invalid integer: ten',
  });
  expect(await refusal(test.stripe.products.list({ limit: 101 }))).toMatchObject({ param: 'limit' });
  const range = await refusal(test.stripe.rawRequest('GET', '/v1/products?created[gte]=x'));
  expect(range).toMatchObject({ statusCode: 400, param: 'created[gte]', message: 'Invalid integer: x' });
});

it('an unknown object is 404 in the path and 400 in a parameter', async () => {
  const inPath = await refusal(test.stripe.customers.retrieve('cus_nobody'));
  expect(inPath).toMatchObject({
    statusCode: 404,
    code: 'resource_missing',
    param: 'id',
    message: "No such customer: 'cus_nobody'",
  });
  const inParam = await refusal(
    test.stripe.prices.create({ currency: 'usd', unit_amount: 100, product: 'prod_none' }),
  );
  expect(inParam).toMatchObject({ statusCode: 400, code: 'resource_missing', param: 'product' });
});

it('an address outside the API is 404', async () => {
  expect((await test.ask('GET', '/healthz')).status).toBe(404);
  expect((await test.ask('GET', '/_stand-in/nothing')).status).toBe(404);
});

it('the control routes take the secret key too', async () => {
  const answer = await fetch(`${test.server.url}/_stand-in/reset`, { method: 'POST' });
  expect(answer.status).toBe(401);
});

it('an error that keeps changes leaves what was put before it; any other leaves nothing', async () => {
  const first = await test.stripe.customers.create({ name: 'First' });
  test.server.standIn.perform(null, ({ store }) => store.put({ ...first, id: 'cus_first' }));
  expect(await refusal(test.stripe.charges.create({}))).toMatchObject({
    statusCode: 402,
    code: 'card_declined',
  });
  expect(await test.stripe.customers.retrieve('cus_kept')).toMatchObject({ name: 'First' });
  expect(await refusal(test.stripe.quotes.create())).toMatchObject({
    statusCode: 500,
    rawType: 'api_error',
  });
  expect(await refusal(test.stripe.customers.retrieve('cus_undone'))).toMatchObject({ statusCode: 404 });
});

it('a reset forgets everything', async () => {
  await test.stripe.customers.create();
  await test.ask('POST', '/_stand-in/reset');
  expect((await test.stripe.customers.list()).data).toEqual([]);
  await test.restart();
  expect((await test.stripe.customers.list()).data).toEqual([]);
});
