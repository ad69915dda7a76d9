import { randomUUID } from 'node:crypto';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { ServiceBusClient } from '@azure/service-bus';
import { afterAll, describe, expect, it } from 'vitest';
import { generateApiKey } from '../../shared/platform/auth/api-key.ts';
import { BILLING_CHANGED, newEvent } from '../../shared/platform/bus/events.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { INSTRUMENTS, type InstrumentName } from '../../shared/platform/telemetry/instruments.ts';
import { ALERTS } from '../../tools/alerts/alerts.ts';
import { firesFor, type Measure } from '../../tools/alerts/matches.ts';
import { startTestApp, until } from '../harness/app.ts';
import { askForPart } from '../harness/ask.ts';

// Raises the condition of each alert on the local stack, and sees that the alert matches what the app measured, and did not before.

/** A server's port behind another one that a test can close, with its connections. */
async function startCuttable(port: number): Promise<{ port: string; cut: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const real = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [client, real],
      [real, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => undefined).on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  afterAll(cut);
  return { port: String((server.address() as AddressInfo).port), cut };
}

const postgresPort = Number(new URL((await askForPart('postgres')).adminUrl).port);
const blobPort = Number(new URL((await askForPart('azurite')).endpoint).port);
const storage = await startCuttable(blobPort);
const billing = await startCuttable(postgresPort);
const analytics = await startCuttable(postgresPort);

const app = await startTestApp({
  // A queue that nothing consumes.
  settings: { 'AzureWebJobs.billing-changes-consume.Disabled': 'true' },
  adapt: (given) =>
    Object.fromEntries(
      Object.entries(given).map(([name, value]) => {
        if (name.startsWith('BILLING_') && name.endsWith('DATABASE_URL'))
          return [name, value.replace(`:${postgresPort}/`, `:${billing.port}/`)];
        if (name.startsWith('ANALYTICS_'))
          return [name, value.replace(`:${postgresPort}/`, `:${analytics.port}/`)];
        return [
          name,
          name === 'BLOB_CONNECTION' ? value.replace(`:${blobPort}/`, `:${storage.port}/`) : value,
        ];
      }),
    ),
});
const { acme, operator } = app.keys;
const CONTAINER = 'mapper-outputs';
/** Later than any job of a few minutes is due, and than any queue may wait. */
const LATER_MS = 20 * 60_000;

const runJob = (job: string, asOf = new Date()) =>
  app.request('POST', `/api/v1/platform/jobs/${job}/runs`, {
    key: operator,
    body: { as_of: asOf.toISOString() },
  });

/** The app's metrics as they are now. */
async function read(): Promise<Measure[]> {
  const response = await fetch(`${app.baseUrl}/api/v1/platform/metrics`, {
    headers: { 'x-api-key': operator },
  });
  expect(response.status).toBe(200);
  return [...(await response.text()).matchAll(/^(\w+)(?:\{(.*)\})? (\S+)/gm)].flatMap(
    ([, name = '', attributes = '', value = '']) =>
      Object.hasOwn(INSTRUMENTS, name)
        ? [
            {
              name,
              attributes: Object.fromEntries(
                [...attributes.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text]),
              ),
              instance: 'host',
              value: Number(value),
            },
          ]
        : [],
  );
}

/** What arrives between two readings: of counters their increase, of gauges the later value. */
function between(before: readonly Measure[], after: readonly Measure[]): Measure[] {
  const keyOf = ({ name, attributes }: Measure) => JSON.stringify([name, attributes]);
  const earlier = new Map(before.map((one) => [keyOf(one), one.value]));
  return after.map((one) =>
    INSTRUMENTS[one.name as InstrumentName].kind === 'counter'
      ? { ...one, value: one.value - (earlier.get(keyOf(one)) ?? 0) }
      : one,
  );
}

const alertNamed = (name: string) => {
  const alert = ALERTS.find((one) => one.name === name);
  if (alert === undefined) throw new Error(`no alert ${name}`);
  return alert;
};

const raised = new Set<string>();

/** Sees that the alerts do not fire, raises their condition, and sees that they fire. `gauges`: when the job measures again. */
async function sees(names: readonly string[], raise: () => Promise<void>, gauges?: Date): Promise<void> {
  await runJob('telemetry-gauges');
  const before = await read();
  const idle = between(before, before);
  for (const name of names) expect([name, firesFor(alertNamed(name), idle)]).toEqual([name, false]);
  await raise();
  if (gauges !== undefined) await runJob('telemetry-gauges', gauges);
  const after = await read();
  for (const name of names) {
    expect([name, firesFor(alertNamed(name), between(before, after))]).toEqual([name, true]);
    raised.add(name);
  }
}

/** A record whose blob is written. */
async function makeRecord(): Promise<{ id: string; blob: string }> {
  const { body } = await app.request('POST', '/api/v1/mappings', {
    key: acme.writer,
    body: {
      detector: 'regex-pii',
      source_data: 'x',
      model_version: 'v1',
      response: {
        taxonomy: ['PII.Identifier.SSN'],
        scores: { 'PII.Identifier.SSN': 0.9 },
        confidence: 0.9,
        processing_time_ms: 1,
        model_used: 'm',
      },
    },
  });
  const [row] = await until(
    () =>
      app.admin.core<
        { blob_name: string }[]
      >`select blob_name from ops.blobs where record_id = ${body.record_id}`,
    (rows) => rows.length === 1,
  );
  return { id: body.record_id, blob: row?.blob_name ?? '' };
}

/** Two periods of a schedule, and for a daily one a day and an hour: nobody wants to wait two days. */
function leastLateS(schedule: string): number {
  const [, minute = '', hour = ''] = schedule.split(' ');
  if (hour !== '*') return 25 * 3_600;
  const step = /\/(\d+)$/.exec(minute)?.[1];
  if (step !== undefined) return 2 * 60 * Number(step);
  return minute === '*' ? 2 * 60 : 2 * 3_600;
}

it('a job is late after at least two of its periods', async () => {
  const late = alertNamed('JobLate').condition;
  if (late.kind !== 'limits') throw new Error('JobLate has no limits');
  const { body } = await app.request('GET', '/api/v1/platform/jobs', { key: operator });
  const jobs = body.items as { job: string; schedule: string }[];
  expect(Object.keys(late.above).toSorted()).toEqual(jobs.map(({ job }) => job).toSorted());
  for (const { job, schedule } of jobs)
    expect([job, (late.above[job] ?? 0) >= leastLateS(schedule)]).toEqual([job, true]);
});

describe('an alert matches what the app measures', () => {
  it('when nothing measures queues and databases', async () => {
    expect(firesFor(alertNamed('MetricsMissing'), await read())).toBe(true);
    await runJob('telemetry-gauges');
    expect(firesFor(alertNamed('MetricsMissing'), await read())).toBe(false);
    raised.add('MetricsMissing');
  });

  it('when requests fail, here because the database refuses a role', async () => {
    await sees(['HighErrorRate', 'TenantIsolationRefused'], async () => {
      await app.admin.core`revoke select on analysis_templates from comply_app`;
      for (let n = 0; n < 6; n += 1)
        expect((await app.request('GET', '/api/v1/analysis-templates', { key: acme.reader })).status).toBe(
          500,
        );
      await app.admin.core`grant select on analysis_templates to comply_app`;
    });
  });

  it('when requests are slow, and wait for connections', async () => {
    const ask = () => app.request('GET', '/api/v1/legal-holds', { key: acme.owner });
    await ask();
    await sees(['HighLatency'], async () => {
      const exhausted = alertNamed('ConnectionsExhausted');
      expect(firesFor(exhausted, await read())).toBe(false);
      const asked = await app.admin.core.begin(async (sql) => {
        await sql`lock table legal_holds in access exclusive mode`;
        const start = performance.now();
        const answers = Promise.all(Array.from({ length: 120 }, ask));
        await until(read, (now) => firesFor(exhausted, now));
        raised.add(exhausted.name);
        await until(
          () => Promise.resolve(performance.now() - start),
          (ms) => ms > 4_000,
        );
        return { answers };
      });
      await asked.answers;
    });
  });

  it('when events wait: in an outbox, in a queue, among the dead letters, in quarantine, at Stripe', async () => {
    await sees(
      [
        'OutboxNotDrained',
        'QueueNotConsumed',
        'DeadLetters',
        'QuarantineOpen',
        'StripeEventsWaiting',
        'StripeMismatches',
      ],
      async () => {
        const event = newEvent(BILLING_CHANGED, { tenant_id: 'acme' }, new Date());
        await app.admin.core`
          insert into ops.outbox (id, tenant_id, events, created_at)
          values (${newId()}, 'acme', ${app.admin.core.json([event] as never)}, ${new Date(Date.now() - LATER_MS)})`;
        for (let n = 0; n < 2; n += 1)
          await app.services.bus.send('billing-changes', [
            { body: { ...event, id: newId() }, messageId: randomUUID() },
          ]);
        const client = new ServiceBusClient(app.broker.connectionString);
        const receiver = client.createReceiver('billing-changes');
        const [message] = await receiver.receiveMessages(1);
        if (message === undefined) throw new Error('no message');
        await receiver.deadLetterMessage(message);
        await client.close();
        await app.admin.core`
          insert into ops.quarantine (id, queue, identity, reason, body, status, created_at)
          values (${newId()}, 'usage-events', ${Buffer.from(randomUUID())}, 'NOT_JSON', 'x', 'open', now())`;
        for (let n = 0; n < 21; n += 1)
          await app.admin.billing`
            insert into stripe_events (event_id, type, created, received_at) values (${`evt_${n}`}, 'invoice.paid', now(), now())`;
        await app.admin.billing`
          insert into ops.stripe_mismatches (mismatch_id, kind, object_type, object_id, found_at, last_seen_at)
          values (${newId()}, 'unknown_price', 'price', 'price_1', now(), now())`;
      },
      new Date(Date.now() + LATER_MS),
    );
    await app.admin.core`delete from ops.outbox`;
  });

  it('when a job is late', async () => {
    await runJob('outbox-relay');
    await sees(['JobLate'], () => Promise.resolve(), new Date(Date.now() + LATER_MS));
  });

  it('when runs of jobs fail', async () => {
    await sees(['JobFailing'], async () => {
      await app.admin.core`revoke select on storage_records from comply_jobs`;
      for (let n = 0; n < 3; n += 1) expect((await runJob('records-expire')).status).toBe(500);
      await app.admin.core`grant select on storage_records to comply_jobs`;
    });
  });

  it('when a record outlives its end', async () => {
    const { id } = await makeRecord();
    await sees(
      ['RecordsOverdue'],
      () =>
        app.admin
          .core`update storage_records set expires_at = now() - interval '3 days' where id = ${id}`.then(
          () => undefined,
        ),
      new Date(),
    );
    await app.admin.core`update storage_records set expires_at = now() + interval '90 days' where id = ${id}`;
  });

  it('when the storage loses blobs, with their record and without', async () => {
    await sees(['EvidenceRestored', 'EvidenceLost'], async () => {
      const [kept, gone] = [await makeRecord(), await makeRecord()];
      await app.admin.core`delete from storage_records where id = ${gone.id}`;
      for (const { blob } of [kept, gone]) await app.services.blobs.delete(CONTAINER, blob);
      const { status } = await runJob('blobs-verify', new Date(Date.now() + 11 * 60_000));
      expect(status).toBe(200);
    });
  });

  it('when keys are tried', async () => {
    await sees(['SignInFailures'], async () => {
      const { credential } = generateApiKey('local');
      for (let n = 0; n < 201; n += 1) await app.request('GET', '/api/v1/usage', { key: credential });
    });
  });

  it('when a key asks for more than it may', async () => {
    await sees(['AccessDenials'], async () => {
      for (let n = 0; n < 21; n += 1)
        expect((await app.request('GET', '/api/v1/api-keys', { key: acme.reader })).status).toBe(403);
    });
  });

  it('when a database, or another service, does not answer', async () => {
    await sees(['DatabaseUnavailable', 'DependencyUnavailable', 'BlobOperationsFailing'], async () => {
      for (let n = 0; n < 5; n += 1) await makeRecord();
      storage.cut();
      await runJob('blobs-verify', new Date(Date.now() + 12 * 60_000));
      billing.cut();
      analytics.cut();
      await until(
        () => app.request('GET', '/api/health/ready'),
        ({ status }) => status === 503,
      );
    });
  });

  it('each of them', () => {
    expect(ALERTS.map(({ name }) => name).filter((name) => !raised.has(name))).toEqual([]);
  });
});
