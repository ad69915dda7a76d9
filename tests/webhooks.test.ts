import { createHmac, randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { claimDelivery } from '../shared/domains/webhooks/deliveries/claim-delivery.ts';
import { fanOut } from '../shared/domains/webhooks/deliveries/fan-out.ts';
import type { Fact } from '../shared/domains/webhooks/facts/fact.ts';
import {
  AUDIT_RECORDED,
  newEvent,
  USAGE_THRESHOLD_REACHED,
  type CloudEvent,
} from '../shared/platform/bus/events.ts';
import { PERMISSION_SETS } from '../shared/platform/auth/permissions.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { until } from './harness/app.ts';
import { openMailbox, signIn } from './harness/members.ts';
import {
  CLOSED_PORT,
  DELIVERIES,
  ENDPOINTS,
  startWebhookScene,
  verified,
  type Endpoint,
} from './harness/webhook-scene.ts';

const scene = await startWebhookScene();
const {
  app,
  receiver,
  key,
  makeEndpoint,
  came,
  deliveriesTo,
  addDelivery,
  read,
  endpointRow,
  send,
  runRetry,
} = scene;
const { core } = app.admin;
const DAY_MS = 24 * 3_600_000;
const ago = (ms: number): Date => new Date(Date.now() - ms);
const answer = (path: string, status: number): void =>
  receiver.answer(path, (response) => response.writeHead(status).end());

// A tenant has at most 20.
afterEach(async () => {
  await core`delete from ops.webhook_endpoints`;
});

describe('an endpoint', () => {
  const BODY = { url: 'https://hooks.example.com/comply', event_types: ['payment.failed'] };
  const withPort = (url: string): string => url.replace('example.com', `example.com:${receiver.port}`);
  const body = { ...BODY, url: withPort(BODY.url) };
  const make = (more: object = {}, owner = key) =>
    app.request('POST', ENDPOINTS, { key: owner, body: { ...body, ...more } });

  it('shows its secret once, also if the request is repeated', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const made = await app.request('POST', ENDPOINTS, { key, body, headers });
    expect(made).toMatchObject({
      status: 201,
      body: { ...body, is_active: true, managed_by: null, disabled_reason: null },
    });
    const secret: string = made.body.secret;
    expect(Buffer.from(secret.replace(/^whsec_/, ''), 'base64')).toHaveLength(32);
    const again = await app.request('POST', ENDPOINTS, { key, body, headers });
    expect(again).toMatchObject({ status: 201, body: { endpoint_id: made.body.endpoint_id, secret: null } });
    const path = `${ENDPOINTS}/${made.body.endpoint_id}`;
    const [one, list] = await Promise.all([
      app.request('GET', path, { key }),
      app.request('GET', ENDPOINTS, { key }),
    ]);
    const { secret: _shown, ...rest } = made.body;
    expect(one.body).toEqual(rest);
    expect(list.body.items).toEqual([rest]);
    // Nor is it in any table: not even in the stored answer.
    const [stored] =
      await core`select secret, (select max(body) from ops.idempotency where key = ${headers['idempotency-key']}) as kept
      from ops.webhook_endpoints`;
    expect(String(stored?.['secret'])).not.toContain(secret);
    expect(stored?.['kept']).toContain('"secret":null');
  });

  it('is replaced in its newest version, and belongs to its tenant', async () => {
    const made = await make();
    const path = `${ENDPOINTS}/${made.body.endpoint_id}`;
    const put = (match: string, owner = key) =>
      app.request('PUT', path, {
        key: owner,
        body: { ...body, description: 'new' },
        headers: { 'if-match': match },
      });
    expect((await app.request('PUT', path, { key, body })).status).toBe(400);
    expect(await put(made.body.etag)).toMatchObject({ status: 200, body: { description: 'new' } });
    expect((await put(made.body.etag)).status).toBe(412);
    const other = app.keys.globex.owner;
    for (const [method, rest] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/rotate-secret'],
      ['POST', '/test'],
    ] as const)
      expect((await app.request(method, path + rest, { key: other })).status).toBe(404);
    expect((await put('*', other)).status).toBe(404);
    expect((await app.request('GET', ENDPOINTS, { key: other })).body.items).toEqual([]);
  });

  it.each([
    ['plain HTTP', { url: 'http://hooks.example.com/' }],
    ['another port', { url: 'https://hooks.example.com/' }],
    ['a private address', { url: 'https://10.0.0.1/' }],
    ['credentials', { url: 'https://me:pw@hooks.example.com/' }],
    ['a URL that is too long', { url: `https://hooks.example.com/${'x'.repeat(3_000)}` }],
    ['no types', { event_types: [] }],
    ['a type twice', { event_types: ['payment.failed', 'payment.failed'] }],
    ['an unknown type', { event_types: ['webhook.test'] }],
    ['a long description', { description: 'x'.repeat(501) }],
    ['an unknown field', { secret: 'whsec_mine' }],
  ])('is refused with %s', async (_what, more) => expect((await make(more)).status).toBe(400));

  it('is refused where the body is too large', async () =>
    expect((await make({ description: 'x'.repeat(300_000) })).status).toBe(413));

  it('is one of at most 20, whatever races', async () => {
    const made = await Promise.all(Array.from({ length: 24 }, () => make()));
    expect(made.map(({ status }) => status).sort()).toEqual([...Array(20).fill(201), ...Array(4).fill(409)]);
  });

  it('may be seen by an auditor and changed by an owner', async () => {
    const made = await make();
    const auditor = await app.makeKey('acme', PERMISSION_SETS.auditor);
    expect((await app.request('GET', `${ENDPOINTS}/${made.body.endpoint_id}`, { key: auditor })).status).toBe(
      200,
    );
    expect((await make({}, auditor)).status).toBe(403);
    expect((await app.request('GET', ENDPOINTS, { key: app.keys.acme.reader })).status).toBe(403);
  });
});

describe('the callback of a tenant’s settings', () => {
  const CONFIG = '/api/v1/tenant-config';
  const put = (callback: unknown) =>
    app.request('PUT', CONFIG, { key, body: { config_data: { callback } }, headers: { 'if-match': '*' } });
  const managed = async () =>
    (await app.request('GET', ENDPOINTS, { key })).body.items.filter(
      (item: { managed_by: unknown }) => item.managed_by !== null,
    );

  it('is an endpoint that only the settings change', async () => {
    const path = `/${randomUUID()}`;
    const callback = { url: receiver.url(path), event_types: ['payment.failed'] };
    expect(await put(callback)).toMatchObject({ status: 200, body: { config_data: { callback } } });
    const [endpoint] = await managed();
    expect(endpoint).toMatchObject({ ...callback, managed_by: 'tenant_config', is_active: true });
    const own = `${ENDPOINTS}/${endpoint.endpoint_id}`;
    const { status } = await app.request('PUT', own, { key, body: callback, headers: { 'if-match': '*' } });
    expect([status, (await app.request('DELETE', own, { key })).status]).toEqual([409, 409]);
    const { body } = await app.request('POST', `${own}/rotate-secret`, { key, body: { overlap_seconds: 0 } });
    await app.request('POST', `${own}/test`, { key });
    const [message] = await came({ id: endpoint.endpoint_id, secret: body.secret, path });
    expect(verified(message, body.secret).type).toBe('webhook.test');
    await put({ url: receiver.url('/other') });
    expect(await managed()).toMatchObject([
      { endpoint_id: endpoint.endpoint_id, url: receiver.url('/other') },
    ]);
    expect((await managed())[0].event_types).toContain('record.archived');
    await put(null);
    expect(await managed()).toEqual([]);
  });

  it('is refused where an endpoint would be', async () => {
    const refused = await put({ url: 'https://192.168.0.1/' });
    expect(refused).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/config_data/callback/url' }] },
    });
    expect(await managed()).toEqual([]);
  });
});

describe('what happens is told', () => {
  const RESPONSE = {
    taxonomy: ['PII.Identifier.SSN'],
    scores: { 'PII.Identifier.SSN': 0.1 },
    confidence: 0.1,
    processing_time_ms: 1,
    model_used: 'm',
  };
  const MAPPING = { detector: 'd', source_data: 'SECRET-SOURCE', model_version: 'v1' };
  const publish = (events: readonly CloudEvent[]) => app.services.bus.publish(events);

  it('a mapping that needs review, and its archived record, signed and without content', async () => {
    const [review, archived, other] = await Promise.all([
      makeEndpoint(['mapping.needs_review']),
      makeEndpoint(['record.archived', 'quota.threshold_reached']),
      makeEndpoint(['mapping.needs_review'], app.keys.globex.owner),
    ]);
    const body = { ...MAPPING, response: RESPONSE };
    const mapping = await app.request('POST', '/api/v1/mappings', { key, body });
    const { request_id: requestId, record_id: recordId } = mapping.body;
    const [message] = await came(review);
    expect(verified(message, review.secret)).toEqual({
      type: 'mapping.needs_review',
      timestamp: mapping.body.created_at,
      data: { tenant_id: 'acme', request_id: requestId, record_id: recordId },
    });
    expect(verified((await came(archived))[0], archived.secret)).toMatchObject({
      type: 'record.archived',
      data: { tenant_id: 'acme', record_id: recordId, bytes: expect.any(Number) },
    });
    expect(message?.body).not.toContain('SECRET-SOURCE');
    expect(message?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': /comply-ai-webhooks/,
    });
    // Not by the library that signed it.
    const {
      'webhook-id': id = '',
      'webhook-timestamp': at = '',
      'webhook-signature': signature,
    } = message?.headers ?? {};
    const bytes = Buffer.from(review.secret.replace('whsec_', ''), 'base64');
    const expected = createHmac('sha256', bytes).update(`${id}.${at}.${message?.body}`).digest('base64');
    expect(signature).toBe(`v1,${expected}`);
    const [delivery] = await deliveriesTo(review, 'delivered');
    expect(delivery).toMatchObject({ event_id: id, attempts: 1, outcome: 'delivered', response_status: 204 });
    const shown = await app.request('GET', `${DELIVERIES}/${delivery?.['delivery_id']}`, { key });
    expect(shown.body.payload).toEqual(JSON.parse(message?.body ?? ''));
    expect(receiver.at(other.path)).toEqual([]);
  });

  it('a mapping that is completed later, and orchestrations that come whole or in parts', async () => {
    const endpoint = await makeEndpoint(['mapping.needs_review', 'orchestration.completed']);
    const mapping = await app.request('POST', '/api/v1/mappings', { key, body: MAPPING });
    const path = `/api/v1/mappings/${mapping.body.request_id}/response`;
    expect((await app.request('PUT', path, { key, body: RESPONSE })).status).toBe(200);
    const orchestration = {
      content: 'x',
      content_type: 'text',
      policy_bundle: 'default',
      environment: 'dev',
    };
    const result = { detector: 'regex-pii', status: 'success', processing_time_ms: 3, confidence: 1 };
    const done = { total_processing_time_ms: 1 };
    const whole = { ...orchestration, detector_results: [result], response: done };
    const [one, two, open] = await Promise.all(
      [whole, orchestration, orchestration].map((body) =>
        app.request('POST', '/api/v1/orchestrations', { key, body }),
      ),
    );
    await app.request('PUT', `/api/v1/orchestrations/${two?.body.request_id}/response`, { key, body: done });
    const told = (await came(endpoint, 3)).map((message) => verified(message, endpoint.secret));
    expect(told.map(({ data }) => data['request_id']).sort()).toEqual(
      [mapping, one, two].map((made) => made?.body.request_id).sort(),
    );
    expect(
      told.filter(({ type }) => type === 'orchestration.completed').map(({ data }) => data['status']),
    ).toEqual(['completed', 'completed']);
    expect(JSON.stringify(told)).not.toContain(open?.body.request_id);
  });

  it('a limit that is nearly used up and a failed payment, once each, and only if this service says so', async () => {
    const endpoint = await makeEndpoint(['quota.threshold_reached', 'payment.failed']);
    const now = new Date();
    const period = { period_start: now.toISOString(), period_end: now.toISOString() };
    const usage = {
      usage_type: 'api_calls',
      reset_period: 'monthly',
      mode: 'hard',
      used: 800,
      limit: 1000,
      ...period,
    };
    const reached = newEvent(
      USAGE_THRESHOLD_REACHED,
      { tenant_id: 'acme', threshold_percent: 80, ...usage },
      now,
    );
    const details = { invoice_id: newId(), amount: 2900, currency: 'USD', failure_code: 'card_declined' };
    const payment = { action: 'payment.failed', resource_type: 'payment', outcome: 'failure', details };
    const failed = newEvent(AUDIT_RECORDED, { tenant_id: 'acme', resource_id: newId(), ...payment }, now);
    const forged = {
      ...newEvent(AUDIT_RECORDED, { tenant_id: 'acme', resource_id: 'x', ...payment }, now),
      source: '/other',
    };
    const old = newEvent(
      AUDIT_RECORDED,
      { tenant_id: 'acme', resource_id: 'y', ...payment },
      ago(8 * DAY_MS),
    );
    await publish([forged, old, reached, failed]);
    await publish([failed, reached]);
    await came(endpoint, 2);
    // Behind them, so that whatever else would come has come.
    await publish([{ ...failed, id: newId() }]);
    const told = (await came(endpoint, 3)).map((message) => verified(message, endpoint.secret));
    expect(told.map(({ type }) => type).sort()).toEqual([
      'payment.failed',
      'payment.failed',
      'quota.threshold_reached',
    ]);
    expect(told.find(({ type }) => type === 'payment.failed')?.data).toMatchObject(details);
    expect(told.find(({ type }) => type === 'quota.threshold_reached')?.data).toMatchObject({
      threshold_percent: 80,
      used: 800,
    });
  });

  it('a test, whatever types the endpoint asks for', async () => {
    const endpoint = await makeEndpoint(['payment.failed']);
    const sent = await app.request('POST', `${ENDPOINTS}/${endpoint.id}/test`, { key });
    expect(sent).toMatchObject({ status: 202, body: { status: 'pending', event_type: 'webhook.test' } });
    expect(verified((await came(endpoint))[0], endpoint.secret).type).toBe('webhook.test');
  });
});

describe('each fact makes one delivery, and each attempt one request', () => {
  it('also if the fact comes twice at once, and again later', async () => {
    const endpoint = await makeEndpoint(['record.archived']);
    const fact: Fact = {
      tenantId: 'acme',
      type: 'record.archived',
      eventId: newId(),
      at: new Date(),
      data: { n: 1 },
    };
    await Promise.all([1, 2, 3].map(() => fanOut(app.services, [fact, fact], new Date())));
    await deliveriesTo(endpoint, 'delivered');
    await fanOut(app.services, [fact], new Date());
    const rows = await core`select * from ops.webhook_deliveries where endpoint_id = ${endpoint.id}`;
    expect(rows).toHaveLength(1);
    expect(receiver.at(endpoint.path)).toHaveLength(1);
  });

  it('also if its message comes several times at once, and again later', async () => {
    const endpoint = await makeEndpoint(['record.archived']);
    const delivery = await addDelivery(endpoint);
    await Promise.all([1, 2, 3, 4].map(() => send([delivery, delivery])));
    await send([delivery]);
    expect(receiver.at(endpoint.path)).toHaveLength(1);
    expect(await read(delivery.delivery_id)).toMatchObject({ status: 'delivered', attempts: 1 });
  });

  it('and a process that dies between sending and recording makes it again, with the same id', async () => {
    const endpoint = await makeEndpoint(['record.archived']);
    const delivery = await addDelivery(endpoint);
    const claimed = await claimDelivery(
      app.services.crossTenant.core,
      { ...delivery, attempt: 0 },
      ago(5 * 60_000),
    );
    expect(claimed?.attempts).toBe(1);
    // Its claim has run out since: the timer queues it, and the app's consumer sends it.
    await runRetry();
    const [message] = await came(endpoint);
    expect(message?.headers['webhook-id']).toBe(delivery.event_id);
    await deliveriesTo(endpoint, 'delivered');
    expect(await read(delivery.delivery_id)).toMatchObject({ attempts: 2 });
  });
});

describe('a delivery that fails is tried again', () => {
  it.each([
    ['server_error', 500],
    ['client_error', 404],
    ['redirected', 307],
  ])('after %s', async (outcome, status) => {
    const endpoint = await makeEndpoint(['record.archived']);
    receiver.answer(endpoint.path, (response) =>
      response.writeHead(status, { location: receiver.url('/elsewhere') }).end('no '.repeat(10_000)),
    );
    const delivery = await addDelivery(endpoint);
    const before = Date.now();
    await send([delivery]);
    const row = await read(delivery.delivery_id);
    expect(row).toMatchObject({ status: 'pending', attempts: 1, outcome, response_status: status });
    const wait = Number(row?.['next_attempt_at']) - before;
    expect(wait).toBeGreaterThanOrEqual(5_000);
    expect(wait).toBeLessThan(12_000);
    expect(Number(row?.['give_up_at']) - before).toBeGreaterThan(DAY_MS - 60_000);
    expect(receiver.at('/elsewhere')).toEqual([]);
    answer(endpoint.path, 200);
    await core`update ops.webhook_deliveries set next_attempt_at = ${ago(1)} where delivery_id = ${delivery.delivery_id}`;
    await runRetry();
    await deliveriesTo(endpoint, 'delivered');
    expect(await endpointRow(endpoint)).toMatchObject({
      failing_since: null,
      last_success_at: expect.any(Date),
    });
  });

  it('after a timeout, and where nobody listens; then the others of the endpoint wait without an attempt', async () => {
    const slow = await makeEndpoint(['record.archived']);
    receiver.answer(slow.path, () => undefined);
    const down = await makeEndpoint(['record.archived'], key, `https://127.0.0.1:${CLOSED_PORT}/`);
    const well = await makeEndpoint(['record.archived']);
    const many = (endpoint: Endpoint, count: number) =>
      Promise.all(Array.from({ length: count }, () => addDelivery(endpoint)));
    const [ofSlow, ofDown, ofWell] = await Promise.all([many(slow, 20), many(down, 20), many(well, 20)]);
    await send([...ofSlow, ...ofDown, ...ofWell], 2_000);
    expect(receiver.at(well.path)).toHaveLength(20);
    const tally = await core`
      select endpoint_id, outcome, count(*)::int as n, sum(attempts)::int as attempts, min(next_attempt_at) > now() as waits
        from ops.webhook_deliveries where endpoint_id in ${core([slow.id, down.id])} and status = 'pending' group by 1, 2`;
    const of = (endpoint: Endpoint, outcome: string | null) =>
      tally.find((row) => row['endpoint_id'] === endpoint.id && row['outcome'] === outcome);
    // Four requests at once, so up to four are under way when the third failure is seen.
    for (const [endpoint, outcome] of [
      [slow, 'timeout'],
      [down, 'unreachable'],
    ] as const) {
      expect(of(endpoint, outcome)?.['n']).toBeLessThanOrEqual(6);
      expect(of(endpoint, null)).toMatchObject({ attempts: 0, waits: true });
    }
  });

  it('for 24 hours; then the endpoint is switched off if it has accepted nothing, and its tenant is told', async () => {
    const [failing, watching] = await Promise.all([
      makeEndpoint(['record.archived']),
      makeEndpoint(['webhook.endpoint_disabled']),
    ]);
    const [owner, viewer] = [
      await signIn(app, 'acme', { admin: null }),
      await signIn(app, 'acme', { viewer: null }),
    ];
    // The own organisation gives the role, too: that is still one owner.
    await core`insert into user_role_assignments (tenant_id, user_id, role_name, source)
                 values ('acme', ${owner.userId}, 'admin', 'token')`;
    const mailbox = openMailbox(app);
    onTestFinished(() => mailbox.close());
    answer(failing.path, 503);
    const [last, waiting] = await Promise.all([
      addDelivery(failing, { give_up_at: ago(0) }),
      addDelivery(failing),
    ]);
    await core`update ops.webhook_endpoints set failing_since = ${ago(DAY_MS)} where endpoint_id = ${failing.id}`;
    await send([last]);
    await send([waiting]);
    expect(receiver.at(failing.path)).toHaveLength(1);
    expect(await read(last.delivery_id)).toMatchObject({ status: 'failed', outcome: 'server_error' });
    expect(await read(waiting.delivery_id)).toMatchObject({ status: 'failed', outcome: 'endpoint_disabled' });
    expect(verified((await came(watching))[0], watching.secret)).toMatchObject({
      type: 'webhook.endpoint_disabled',
      data: { tenant_id: 'acme', endpoint_id: failing.id, reason: 'failing' },
    });
    const told = await until(
      () => mailbox.endpointsDisabledTo(owner.email),
      ({ length }) => length > 0,
    );
    expect(told).toEqual([
      {
        tenant_id: 'acme',
        email: owner.email,
        endpoint_id: failing.id,
        reason: 'failing',
        disabled_at: expect.any(String),
      },
    ]);
    expect(await mailbox.endpointsDisabledTo(viewer.email)).toEqual([]);
    const query = `action=webhook_endpoint.disabled&resource_id=${failing.id}`;
    expect((await app.request('GET', `/api/v1/audit-logs?${query}`, { key })).body.items).toHaveLength(1);
    const shown = await app.request('GET', `${ENDPOINTS}/${failing.id}`, { key });
    expect(shown.body).toMatchObject({
      is_active: false,
      disabled_reason: 'failing',
      disabled_at: expect.any(String),
    });
    const replay = `${DELIVERIES}/${waiting.delivery_id}/replay`;
    expect((await app.request('POST', replay, { key })).status).toBe(409);
    // Switched on again, it starts as new, and what failed can be sent again.
    answer(failing.path, 200);
    const body = { url: receiver.url(failing.path), event_types: ['record.archived'] };
    const on = await app.request('PUT', `${ENDPOINTS}/${failing.id}`, {
      key,
      body,
      headers: { 'if-match': '*' },
    });
    expect(on.body).toMatchObject({ is_active: true, disabled_reason: null, failing_since: null });
    expect((await app.request('POST', replay, { key })).status).toBe(202);
    const messages = await came(failing, 2);
    expect(messages[1]?.headers['webhook-id']).toBe(waiting.event_id);
  });

  it('and fails alone where the endpoint accepted others meanwhile', async () => {
    const endpoint = await makeEndpoint(['record.archived']);
    answer(endpoint.path, 400);
    const delivery = await addDelivery(endpoint, { give_up_at: ago(0) });
    await send([delivery]);
    expect(await read(delivery.delivery_id)).toMatchObject({ status: 'failed', outcome: 'client_error' });
    expect(await endpointRow(endpoint)).toMatchObject({ is_active: true, disabled_reason: null });
  });

  it('and is not switched off for a failure of long ago: the delivery has its own 24 hours', async () => {
    const endpoint = await makeEndpoint(['record.archived']);
    answer(endpoint.path, 503);
    await core`update ops.webhook_endpoints set failing_since = ${ago(5 * DAY_MS)} where endpoint_id = ${endpoint.id}`;
    const delivery = await addDelivery(endpoint);
    await send([delivery]);
    expect(await read(delivery.delivery_id)).toMatchObject({ status: 'pending', attempts: 1 });
    expect(await endpointRow(endpoint)).toMatchObject({ is_active: true, disabled_reason: null });
  });

  it('and an answer of the address that it had before says nothing about the new one', async () => {
    const endpoint = await makeEndpoint(['record.archived']);
    const moved = receiver.url(`/${randomUUID()}`);
    receiver.answer(endpoint.path, (response) => {
      void core`update ops.webhook_endpoints set url = ${moved} where endpoint_id = ${endpoint.id}`.then(() =>
        response.writeHead(410).end(),
      );
    });
    const delivery = await addDelivery(endpoint);
    await send([delivery]);
    expect(await read(delivery.delivery_id)).toMatchObject({ status: 'pending', outcome: 'gone' });
    expect(await endpointRow(endpoint)).toMatchObject({ is_active: true, failing_since: null });
  });

  it('but not after 410: the endpoint is gone', async () => {
    const endpoint = await makeEndpoint(['record.archived']);
    answer(endpoint.path, 410);
    const deliveries = await Promise.all([addDelivery(endpoint), addDelivery(endpoint)]);
    await send(deliveries);
    expect(await endpointRow(endpoint)).toMatchObject({ is_active: false, disabled_reason: 'gone' });
    for (const { delivery_id: id } of deliveries) expect(await read(id)).toMatchObject({ status: 'failed' });
  });
});

describe('an endpoint that does not answer', () => {
  it('takes no place from other tenants', async () => {
    const dead = await Promise.all(Array.from({ length: 17 }, () => makeEndpoint(['record.archived'])));
    for (const { path } of dead) receiver.answer(path, () => undefined);
    const other = await makeEndpoint(['record.archived'], app.keys.globex.owner);
    const before = receiver.received.length;
    const waiting = await Promise.all(dead.map((endpoint) => addDelivery(endpoint)));
    await send([...waiting, await addDelivery(other, { tenant_id: 'globex' })], 500);
    const order = receiver.received.slice(before).map(({ path }) => path);
    expect(order.indexOf(other.path)).toBeLessThan(16);
    expect(order).toHaveLength(18);
  });

  it('is asked nothing for a minute after a few failures, however much waits for it', async () => {
    const dead = await makeEndpoint(['record.archived']);
    receiver.answer(dead.path, () => undefined);
    const [first, second] = await Promise.all(
      [1, 2].map(() => Promise.all(Array.from({ length: 6 }, () => addDelivery(dead)))),
    );
    await send(first ?? [], 200);
    const asked = receiver.at(dead.path).length;
    await send(second ?? [], 200);
    expect(receiver.at(dead.path)).toHaveLength(asked);
    for (const { delivery_id: id } of second ?? [])
      expect(await read(id)).toMatchObject({ status: 'pending', attempts: 0 });
  });

  it('is left to the timer, the longer the longer it fails, so that its facts do not come to every batch', async () => {
    const [dead, well] = await Promise.all([
      makeEndpoint(['record.archived']),
      makeEndpoint(['record.archived']),
    ]);
    await core`update ops.webhook_endpoints set failing_since = ${ago(DAY_MS / 12)} where endpoint_id = ${dead.id}`;
    const now = new Date();
    const fact: Fact = {
      tenantId: 'acme',
      type: 'record.archived',
      eventId: newId(),
      at: now,
      data: { n: 1 },
    };
    await fanOut(app.services, [fact], now);
    await deliveriesTo(well, 'delivered');
    const [row] = await core`select * from ops.webhook_deliveries where endpoint_id = ${dead.id}`;
    expect(row).toMatchObject({ status: 'pending', attempts: 0 });
    const wait = Number(row?.['next_attempt_at']) - now.getTime();
    expect(wait).toBeGreaterThanOrEqual(DAY_MS / 48);
    expect(wait).toBeLessThan(DAY_MS / 48 + 60_000);
    expect(receiver.at(dead.path)).toEqual([]);
  });
});

describe('nothing is sent', () => {
  it('to an endpoint that is deleted while deliveries wait', async () => {
    const endpoint = await makeEndpoint(['record.archived']);
    const delivery = await addDelivery(endpoint);
    expect((await app.request('DELETE', `${ENDPOINTS}/${endpoint.id}`, { key })).status).toBe(204);
    await send([delivery]);
    expect(await read(delivery.delivery_id)).toMatchObject({
      status: 'cancelled',
      outcome: 'endpoint_deleted',
    });
    expect((await app.request('POST', `${DELIVERIES}/${delivery.delivery_id}/replay`, { key })).status).toBe(
      409,
    );
    expect(receiver.at(endpoint.path)).toEqual([]);
  });

  it('to an address that is not public, whatever was accepted before', async () => {
    const endpoint = await makeEndpoint(['record.archived']);
    await core`update ops.webhook_endpoints set url = 'https://10.0.0.1/x' where endpoint_id = ${endpoint.id}`;
    const delivery = await addDelivery(endpoint);
    await send([delivery]);
    expect(await read(delivery.delivery_id)).toMatchObject({ status: 'pending', outcome: 'refused' });
  });

  it.each(['suspended', 'erased'])('of a tenant that is %s', async (status) => {
    const { globex } = app.keys;
    const endpoint = await makeEndpoint(['record.archived'], globex.owner);
    const delivery = await addDelivery(endpoint, { tenant_id: 'globex' });
    await core`update tenants set status = ${status} where tenant_id = 'globex'`;
    app.services.tenants.forget('globex');
    await send([delivery]);
    await core`update tenants set status = 'active' where tenant_id = 'globex'`;
    app.services.tenants.forget('globex');
    expect(await read(delivery.delivery_id)).toMatchObject({
      status: 'cancelled',
      outcome: 'tenant_inactive',
    });
    expect(receiver.at(endpoint.path)).toEqual([]);
  });

  it('of a tenant whose data key is destroyed', async () => {
    const id = `gone-${randomUUID()}`;
    const body = { tenant_id: id, name: id, plan_id: 'starter' };
    const tenant = await app.request('POST', '/api/v1/platform/tenants', { key: app.keys.operator, body });
    const endpoint = await makeEndpoint(['record.archived'], tenant.body.owner_api_key);
    await core`update ops.data_keys set wrapped_key = null, destroyed_at = now() where tenant_id = ${id}`;
    const delivery = await addDelivery(endpoint, { tenant_id: id });
    await send([delivery]);
    expect(await read(delivery.delivery_id)).toMatchObject({
      status: 'cancelled',
      outcome: 'tenant_inactive',
    });
    expect(receiver.at(endpoint.path)).toEqual([]);
  });
});

describe('a rotated secret', () => {
  it('signs beside the old one for the overlap, and alone after it', async () => {
    const endpoint = await makeEndpoint(['payment.failed']);
    const rotated = await app.request('POST', `${ENDPOINTS}/${endpoint.id}/rotate-secret`, { key });
    expect(rotated.body.secret).toMatch(/^whsec_/);
    expect(rotated.body.secret).not.toBe(endpoint.secret);
    await app.request('POST', `${ENDPOINTS}/${endpoint.id}/test`, { key });
    const [both] = await came(endpoint);
    expect(both?.headers['webhook-signature']?.split(' ')).toHaveLength(2);
    for (const secret of [endpoint.secret, rotated.body.secret])
      expect(verified(both, secret).type).toBe('webhook.test');
    await core`update ops.webhook_endpoints set old_secret_expires_at = ${ago(1)} where endpoint_id = ${endpoint.id}`;
    await app.request('POST', `${ENDPOINTS}/${endpoint.id}/test`, { key });
    const alone = (await came(endpoint, 2))[1];
    expect(verified(alone, rotated.body.secret).type).toBe('webhook.test');
    expect(() => verified(alone, endpoint.secret)).toThrow('No matching signature');
  });

  it('without an overlap ends the old one at once', async () => {
    const endpoint = await makeEndpoint(['payment.failed']);
    const body = { overlap_seconds: 0 };
    const rotated = await app.request('POST', `${ENDPOINTS}/${endpoint.id}/rotate-secret`, { key, body });
    expect(rotated.body.old_secret_expires_at).toBeNull();
    await app.request('POST', `${ENDPOINTS}/${endpoint.id}/test`, { key });
    const [message] = await came(endpoint);
    expect(verified(message, rotated.body.secret).type).toBe('webhook.test');
  });
});

describe('the log', () => {
  it('has no secret, no address and no body of a webhook', () => {
    const log = app.logLines.join('\n');
    expect(log).toContain('webhook-endpoint-disabled');
    expect(log).not.toMatch(/whsec_/);
    for (const { path } of receiver.received) expect(log).not.toContain(path);
  });
});
