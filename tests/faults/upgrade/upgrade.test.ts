import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { DATABASES } from '../../../tools/migrate/databases.ts';
import { until } from '../../harness/app.ts';
import type { HttpClient } from '../client.ts';
import type { Write, WriteKind } from '../ledger.ts';
import { Producer } from '../producer.ts';
import { readBacklog } from '../settle.ts';
import { mappingBody } from '../traffic.ts';
import { openUpgrade } from './upgrade-scene.ts';

// An upgrade without downtime: the previous release and this build on one set of databases, queues and blobs. The previous
// release is the commit in dev/upgrade/previous-release.json, with its own build, migrations and seed.

const TEST_MS = 60_000;
const PER_SECOND = 50;
/** Before and after what happens under load. */
const CALM_MS = 1_000;

const scene = await openUpgrade();
const { faults, ledger, random } = scene;
const { stack, sql } = faults;

function startProducer(): Producer {
  return new Producer({
    connectionString: stack.file.service_bus,
    tenants: faults.tenants,
    ledger,
    random,
  });
}

const PATHS: Readonly<Record<Exclude<WriteKind, 'completion'>, string>> = {
  mapping: 'mappings',
  pending_mapping: 'mappings',
  orchestration: 'orchestrations',
  analysis: 'analyses',
};

/** One answered write of each kind that was sent since then, of the tenant acme. */
function oneOfEach(from: number): Write[] {
  const sent = ledger.writes
    .slice(from)
    .filter((write) => write.requestId !== undefined && write.tenantId === 'acme');
  const found = Object.keys(PATHS).flatMap((kind) => sent.find((write) => write.kind === kind) ?? []);
  expect(found.length).toBeGreaterThan(1);
  return found;
}

async function read(client: HttpClient, path: string): Promise<unknown> {
  const { status, body } = await client.ask({
    method: 'GET',
    path: `/api/v1/${path}`,
    key: stack.keys.tenants.acme.owner,
  });
  expect({ path, status, body }).toMatchObject({ status: 200 });
  return body;
}

/** Reads a request of each kind, with its response, as one build answers it. */
async function readRows(client: HttpClient, from: number): Promise<unknown[]> {
  return Promise.all(
    oneOfEach(from).map(({ kind, requestId }) =>
      read(client, `${PATHS[kind as keyof typeof PATHS]}/${requestId}`),
    ),
  );
}

/** Reads a source that the other build has sealed. */
async function expectSourceRead(client: HttpClient, from: number): Promise<void> {
  const written = oneOfEach(from).find(({ recordId }) => recordId !== undefined);
  if (written === undefined) throw new Error('the load has made no record');
  const { marker, recordId } = written;
  ledger.sourcesRead.push(`acme ${recordId}`);
  expect(await read(client, `records/${recordId}/source`)).toMatchObject({
    source_data: expect.stringContaining(marker),
  });
}

describe('the previous release', { timeout: TEST_MS }, () => {
  test('serves while its schema becomes this one, and the migrator gives way to its requests', async () => {
    const previous = await scene.start('previous');
    const since = performance.now();
    const load = scene.load(previous, PER_SECOND);
    const producer = startProducer();
    await delay(CALM_MS);
    const migrating = await sql.core.begin(async (long) => {
      await long`select from mapper_requests limit 1`;
      const begun = scene.migrate(false);
      begun.catch(() => undefined);
      await until(
        () => sql.core`select from pg_locks where not granted and relation = 'mapper_requests'::regclass`,
        (waiting) => waiting.length > 0,
      );
      await delay(2 * CALM_MS);
      return { said: begun };
    });
    const said = await migrating.said;
    await delay(CALM_MS);
    await Promise.all([load.stop(), producer.stop()]);
    expect(said).toContainEqual(expect.stringContaining('waits for a lock and gives way'));
    const [filled] = await sql.core`
      select count(*)::int as rows, count(note)::int as notes from mapper_requests`;
    expect(filled?.['rows']).toBeGreaterThan(50);
    expect(filled?.['notes']).toBe(filled?.['rows']);
    const indexes = await sql.core`
      select indisvalid as valid from pg_index where indexrelid = 'mapper_requests_note'::regclass`;
    expect([...indexes]).toEqual([{ valid: true }]);
    await scene.verify(previous, since);
  });

  test('leaves messages that this build consumes, and rows that it reads', async () => {
    const from = ledger.writes.length;
    const since = performance.now();
    const previous = await scene.start('previous', { consumes: false });
    await scene.write(previous, PER_SECOND, CALM_MS);
    await until(
      () => readBacklog(faults),
      ({ outbox, queued }) => outbox === 0 && queued > 0,
    );
    const before = await readRows(previous.client, from);
    await previous.stop();
    const next = await scene.start('this');
    await expectSourceRead(next.client, from);
    await scene.verify(next, since);
    // This build may add fields, and must change none.
    expect(await readRows(next.client, from)).toMatchObject(before);
  });

  test('takes over again: it consumes this build’s messages, and reads its rows', async () => {
    const from = ledger.writes.length;
    const since = performance.now();
    const next = await scene.start('this', { consumes: false });
    await scene.write(next, PER_SECOND, CALM_MS);
    await until(
      () => readBacklog(faults),
      ({ outbox, queued }) => outbox === 0 && queued > 0,
    );
    const before = await readRows(next.client, from);
    await next.stop();
    const previous = await scene.start('previous');
    expect(before).toMatchObject(await readRows(previous.client, from));
    await expectSourceRead(previous.client, from);
    await scene.verify(previous, since);
  });

  test('hands over to this build under load, and what it needs is removed only when it is gone', async () => {
    const since = performance.now();
    const previous = await scene.start('previous');
    const toPrevious = scene.load(previous, PER_SECOND / 2);
    const producer = startProducer();
    const next = await scene.start('this');
    const toNext = scene.load(next, PER_SECOND / 2);
    await delay(CALM_MS);
    await expectSameAnswers(previous.client, next.client);
    await expectSameAnswers(next.client, previous.client);
    await expect(scene.migrate(true)).rejects.toThrow(
      /_note_check .* was not applied: an instance of an older build is connected/,
    );
    // As the gateway does: nothing new is sent to it, then it is stopped.
    await toPrevious.stop();
    await previous.stop();
    await scene.migrate(true);
    await delay(CALM_MS);
    await Promise.all([toNext.stop(), producer.stop()]);
    const left = await sql.core`
      select attname from pg_attribute
       where attrelid = 'mapper_requests'::regclass and attname = 'note' and not attisdropped`;
    expect([...left]).toEqual([]);
    for (const database of DATABASES)
      expect(await sql[database]`select from ops.migrations where name like '%note%'`).not.toHaveLength(0);
    await scene.verify(next, since);
  });
});

/** A write that is sent to one build, and again to the other under the same idempotency key, has one answer. */
async function expectSameAnswers(first: HttpClient, second: HttpClient): Promise<void> {
  const marker = `both-${randomUUID()}`;
  const send = (client: HttpClient) =>
    client.ask({
      method: 'POST',
      path: '/api/v1/mappings',
      key: stack.keys.tenants.acme.writer,
      headers: { 'idempotency-key': marker },
      body: sent,
    });
  const sent = mappingBody(marker, random, true);
  const answer = await send(first);
  ledger.writes.push({
    marker,
    tenantId: 'acme',
    kind: 'mapping',
    idempotencyKey: marker,
    repeatable: true,
    requestId: answer.body.request_id,
    recordId: answer.body.record_id,
  });
  const again = await send(second);
  expect([answer.status, again.status]).toEqual([201, 201]);
  expect(again.headers['idempotency-replayed']).toBe('true');
  expect(again.body).toEqual(answer.body);
}
