import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex } = app.keys;
const sql = app.admin.core;

// Triggers copy a batch's events from the outbox, and can delay its answer's row just before it is written.
const HOLD = 4711;
await sql.unsafe(`
  create table caused (events jsonb not null);
  create function copy_caused() returns trigger language plpgsql security definer as
    'begin insert into public.caused (events) values (new.events); return null; end';
  create trigger copy_caused after insert on ops.outbox for each row execute function copy_caused();
  create function hold_answer() returns trigger language plpgsql as
    'begin perform pg_advisory_xact_lock_shared(${HOLD}); return new; end';
  create trigger hold_answer before insert on ops.idempotency for each row
    when (new.route like '%-batch-create') execute function hold_answer();
  create function fail_on_our_side() returns trigger language plpgsql as
    'begin raise exception ''a bug of ours''; end'`);

interface Route {
  readonly name: string;
  readonly table: string;
  readonly item: (marker: string, more?: Record<string, unknown>) => Record<string, unknown>;
}

const ROUTES: readonly Route[] = [
  {
    name: 'mappings',
    table: 'mapper_requests',
    item: (marker, more) => ({
      detector: 'regex-pii',
      source_data: `source of ${marker}`,
      model_version: 'v1',
      metadata: { marker },
      ...more,
    }),
  },
  {
    name: 'orchestrations',
    table: 'orchestration_requests',
    item: (marker, more) => ({
      content: `content of ${marker}`,
      content_type: 'text',
      policy_bundle: 'default',
      environment: 'prod',
      metadata: { marker },
      ...more,
    }),
  },
  {
    name: 'analyses',
    table: 'analysis_requests',
    item: (marker, more) => ({
      period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' },
      metrics: { coverage: 0.75 },
      metadata: { marker },
      ...more,
    }),
  },
];

interface Outcome {
  readonly status: number;
  readonly outcome: string;
  readonly request_id?: string;
}
const outcomes = (answer: TestAnswer): string[] =>
  answer.body.items.map((item: Outcome) => `${item.status} ${item.outcome}`);
const isReplayed = (answer: TestAnswer): boolean => answer.headers.get('idempotency-replayed') === 'true';

describe.each(ROUTES)('a batch of $name under an Idempotency-Key', ({ name, table, item }) => {
  const path = `/api/v1/${name}/batch`;
  const send = (items: readonly unknown[], batchKey: string, key = acme.writer): Promise<TestAnswer> =>
    app.request('POST', path, { key, body: { items }, headers: { 'idempotency-key': batchKey } });
  const rows = (marker: string) =>
    sql`select tenant_id, request_id from ${sql(table)} where metadata ->> 'marker' = ${marker}`;
  /** Events of the rows with a marker. */
  const caused = async (marker: string): Promise<number> => {
    const [row] = await sql`
      select count(*)::int as n from caused, jsonb_array_elements(events) e (event)
       where event -> 'data' ->> 'resource_id' in
         (select request_id::text from ${sql(table)} where metadata ->> 'marker' = ${marker})`;
    return row?.['n'];
  };

  it('is written once, and the same key and body again get the same answer', async () => {
    const [marker, batchKey] = [randomUUID(), randomUUID()];
    const items = [
      item(marker),
      item(marker, { unheard_of: true }),
      item(marker, { tenant_id: 'globex' }),
      item(marker),
    ];
    const first = await send(items, batchKey);
    expect([first.status, isReplayed(first)]).toEqual([207, false]);
    expect(outcomes(first)).toEqual(['201 created', '400 invalid', '403 refused', '201 created']);
    const events = await caused(marker);
    const again = await send(
      // The same body with its members in another order.
      items.map((one) => Object.fromEntries(Object.entries(one).reverse())),
      batchKey,
    );
    expect([again.status, isReplayed(again), again.body]).toEqual([207, true, first.body]);
    expect(again.headers.get('content-type')).toContain('application/json');
    expect(await rows(marker)).toHaveLength(2);
    expect([events, await caused(marker)]).toEqual([2, 2]);
    const denied = await sql`
      select from caused where events @> ${sql.json([{ data: { action: `${name}-batch-create.denied` } }])}`;
    expect(denied).toHaveLength(1);
    await sql`delete from caused where events @> ${sql.json([{ data: { outcome: 'denied' } }])}`;
  });

  it('is refused with another body, of which nothing is written', async () => {
    const [marker, other, batchKey] = [randomUUID(), randomUUID(), randomUUID()];
    await send([item(marker)], batchKey);
    for (const items of [[item(other)], [item(marker), item(other)], [item(other, { unheard_of: 1 })]]) {
      const refused = await send(items, batchKey);
      expect([refused.status, refused.body.code]).toEqual([422, 'IDEMPOTENCY_MISMATCH']);
    }
    expect([(await rows(marker)).length, (await rows(other)).length]).toEqual([1, 0]);
  });

  it('is written once with many requests at once, and all answers are equal', async () => {
    const [marker, batchKey] = [randomUUID(), randomUUID()];
    const items = Array.from({ length: 5 }, () => item(marker));
    const answers = await Promise.all(Array.from({ length: 12 }, () => send(items, batchKey)));
    const done = answers.filter(({ status }) => status === 207);
    expect(done.length).toBeGreaterThan(0);
    for (const { status, body, headers } of answers.filter((answer) => !done.includes(answer))) {
      expect([status, body.code]).toEqual([409, 'CONFLICT']);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect(new Set(done.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(done.filter((answer) => !isReplayed(answer))).toHaveLength(1);
    expect(await rows(marker)).toHaveLength(5);
  });

  it('keeps the items’ own keys: they are those of the single route', async () => {
    const [marker, batchKey, own] = [randomUUID(), randomUUID(), randomUUID()];
    const keyed = item(marker, { idempotency_key: own });
    const items = [keyed, keyed, item(marker), item(randomUUID(), { idempotency_key: own })];
    const first = await send(items, batchKey);
    expect(outcomes(first)).toEqual(['201 created', '200 duplicate', '201 created', '422 invalid']);
    expect((await send(items, batchKey)).body).toEqual(first.body);
    const single = await app.request('POST', `/api/v1/${name}`, {
      key: acme.writer,
      body: item(marker),
      headers: { 'idempotency-key': own },
    });
    expect([isReplayed(single), single.body.request_id]).toEqual([true, first.body.items[0].request_id]);
    // Another batch key: the item with a key of its own is known, the other one is new.
    expect(outcomes(await send(items.slice(1, 3), randomUUID()))).toEqual(['200 duplicate', '201 created']);
    expect(await rows(marker)).toHaveLength(3);
  });

  it('has a key of its tenant and its route only', async () => {
    const [marker, batchKey] = [randomUUID(), randomUUID()];
    const first = await send([item(marker)], batchKey);
    const other = await send([item(marker)], batchKey, globex.writer);
    expect([other.status, isReplayed(other)]).toEqual([207, false]);
    expect(other.body.items[0].request_id).not.toBe(first.body.items[0].request_id);
    const single = await app.request('POST', `/api/v1/${name}`, {
      key: acme.writer,
      body: item(marker),
      headers: { 'idempotency-key': batchKey },
    });
    expect([single.status, isReplayed(single)]).toEqual([201, false]);
    expect((await rows(marker)).map((row) => row['tenant_id']).sort()).toEqual(['acme', 'acme', 'globex']);
  });

  it('is written completely by a retry after the connection died between its items and its answer', async () => {
    const [marker, batchKey] = [randomUUID(), randomUUID()];
    const own = randomUUID();
    const items = [item(marker), item(marker, { idempotency_key: own }), item(marker, { unheard_of: 1 })];
    const events = async (): Promise<number> =>
      (await sql`select from caused where events @> ${sql.json([{ data: { tenant_id: 'globex' } }])}`).length;
    const reservations = async (): Promise<number> =>
      (await app.admin.billing`select from ops.usage_reservations where tenant_id = 'globex'`).length;
    await until(reservations, (n) => n === 0);
    const before = await events();
    const holding = await sql.reserve();
    let first: Promise<TestAnswer>;
    try {
      await holding`select pg_advisory_lock(${HOLD})`;
      first = send(items, batchKey, globex.writer);
      const [held] = await until(
        () => sql`
          select pid from pg_stat_activity
           where datname = current_database() and wait_event = 'advisory' and query ~ 'insert into ops.idempotency'`,
        (found) => found.length === 1,
      );
      // Meanwhile a second request: the first still runs.
      const second = await send(items, batchKey, globex.writer);
      expect([second.status, second.body.code]).toEqual([409, 'CONFLICT']);
      await sql`select pg_terminate_backend(${held?.['pid']})`;
      expect((await first).status).toBe(503);
    } finally {
      await holding`select pg_advisory_unlock(${HOLD})`;
      holding.release();
    }
    expect([(await rows(marker)).length, await events()]).toEqual([0, before]);
    const kept = await sql`select from ops.idempotency where key in ${sql([batchKey, own])}`;
    expect([kept.length, await reservations()]).toEqual([0, 0]);

    const retried = await until(
      () => send(items, batchKey, globex.writer),
      ({ status }) => status === 207,
    );
    expect([isReplayed(retried), outcomes(retried)]).toEqual([
      false,
      ['201 created', '201 created', '400 invalid'],
    ]);
    const again = await send(items, batchKey, globex.writer);
    expect([isReplayed(again), again.body]).toEqual([true, retried.body]);
    expect([(await rows(marker)).length, await events()]).toEqual([2, before + 2]);
  });

  it('has an item that the database refuses, and the others are written', async () => {
    const [marker, batchKey, own] = [randomUUID(), randomUUID(), randomUUID()];
    const older = await app.request('POST', `/api/v1/${name}`, {
      key: acme.writer,
      body: item(marker),
      headers: { 'idempotency-key': own },
    });
    expect(older.status).toBe(201);
    // The answer is no longer stored; the row still has the key.
    await sql`delete from ops.idempotency where key = ${own}`;
    const items = [item(marker), item(marker, { idempotency_key: own }), item(marker)];
    const first = await send(items, batchKey);
    expect(outcomes(first)).toEqual(['201 created', '409 refused', '201 created']);
    expect((await send(items, batchKey)).body).toEqual(first.body);
    expect([(await rows(marker)).length, await caused(marker)]).toEqual([3, 3]);
  });

  it('is refused as a whole if an item fails with a 5xx, and its key can be used again', async () => {
    const [marker, batchKey, own] = [randomUUID(), randomUUID(), randomUUID()];
    const items = [
      item(marker, { idempotency_key: own }),
      item(marker, { unheard_of: 1 }),
      item(marker, { metadata: { marker, fails: true } }),
    ];
    const whileItFails = async (run: () => Promise<void>): Promise<void> => {
      await sql.unsafe(`create trigger fails before insert on ${table} for each row
        when (new.metadata ? 'fails') execute function fail_on_our_side()`);
      try {
        await run();
      } finally {
        await sql.unsafe(`drop trigger fails on ${table}`);
      }
    };
    await whileItFails(async () => {
      for (const sender of [acme.writer, globex.writer]) {
        const failed = await send(items, batchKey, sender);
        expect([failed.status, failed.body.code, failed.body.errors]).toEqual([
          500,
          'INTERNAL_ERROR',
          [{ pointer: '/items/2', detail: 'could not be written' }],
        ]);
      }
      const reservations = () =>
        app.admin.billing`select from ops.usage_reservations where tenant_id = 'globex'`;
      await until(reservations, ({ length }) => length === 0);
      const kept = await sql`select from ops.idempotency where key in ${sql([batchKey, own])}`;
      expect([kept.length, (await rows(marker)).length]).toEqual([0, 0]);
    });
    const again = await send(items, batchKey);
    expect([isReplayed(again), outcomes(again)]).toEqual([
      false,
      ['201 created', '400 invalid', '201 created'],
    ]);
    expect([(await rows(marker)).length, await caused(marker)]).toEqual([2, 2]);
    // Without a key, no answer of the batch is stored, and each item has its own outcome.
    await whileItFails(async () => {
      const answer = await app.request('POST', path, { key: acme.writer, body: { items: items.slice(1) } });
      expect(outcomes(answer)).toEqual(['400 invalid', '500 refused']);
    });
  });

  it('is refused as a whole if an item’s own key is still running, and can be sent again', async () => {
    const [marker, batchKey, own] = [randomUUID(), randomUUID(), randomUUID()];
    const items = [item(marker), item(marker, { idempotency_key: own })];
    const lock = `'acme' || chr(31) || '${name}-create' || chr(31) || '${own}', 0`;
    const running = await sql.reserve();
    try {
      await running.unsafe(`select pg_advisory_lock(hashtextextended(${lock}))`);
      const refused = await send(items, batchKey);
      expect([refused.status, refused.body.code, refused.body.errors[0].pointer]).toEqual([
        409,
        'CONFLICT',
        '/items/1',
      ]);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await rows(marker)).toHaveLength(0);
    } finally {
      await running.unsafe(`select pg_advisory_unlock(hashtextextended(${lock}))`);
      running.release();
    }
    const again = await send(items, batchKey);
    expect([isReplayed(again), outcomes(again)]).toEqual([false, ['201 created', '201 created']]);
    expect(await rows(marker)).toHaveLength(2);
  });

  it('may be another batch once its answer has expired, before the sweep', async () => {
    const [marker, batchKey] = [randomUUID(), randomUUID()];
    await send([item(marker)], batchKey);
    await sql`update ops.idempotency set expires_at = now() - interval '1 ms' where key = ${batchKey}`;
    const other = await send([item(marker), item(marker)], batchKey);
    expect([other.status, isReplayed(other), outcomes(other)]).toEqual([
      207,
      false,
      ['201 created', '201 created'],
    ]);
    expect((await send([item(marker), item(marker)], batchKey)).body).toEqual(other.body);
    expect(await rows(marker)).toHaveLength(3);
  });

  it('uses a free tenant’s quota once, and its answer is replayed when the quota is spent', async () => {
    const [marker, batchKey] = [randomUUID(), randomUUID()];
    await app.request('GET', '/api/v1/usage', { key: globex.reader });
    const quota = () => app.admin.billing`
      select current_usage::int as used, reserved::int, usage_limit::int from free_tier_usage
       where tenant_id = 'globex' and usage_type = 'api_calls'`;
    const [before] = await until(quota, ([row]) => row?.['reserved'] === 0);
    await app.admin.billing`
      update free_tier_usage set usage_limit = current_usage + 2
       where tenant_id = 'globex' and usage_type = 'api_calls'`;
    const items = [item(marker), item(marker, { unheard_of: 1 }), item(marker), item(marker)];
    const first = await send(items, batchKey, globex.writer);
    expect(outcomes(first)).toEqual(['201 created', '400 invalid', '201 created', '402 refused']);
    const again = await send(items, batchKey, globex.writer);
    expect([again.status, isReplayed(again), again.body]).toEqual([207, true, first.body]);
    const [after] = await until(quota, ([row]) => row?.['reserved'] === 0);
    expect(after?.['used'] - before?.['used']).toBe(2);
    // The refused items are sent again under a new key.
    await app.admin.billing`
      update free_tier_usage set usage_limit = ${before?.['usage_limit']}
       where tenant_id = 'globex' and usage_type = 'api_calls'`;
    expect(outcomes(await send(items.slice(3), randomUUID(), globex.writer))).toEqual(['201 created']);
    expect(await rows(marker)).toHaveLength(3);
  });
});

describe('a batch of mappings under an Idempotency-Key', () => {
  it('makes the day’s partition if it is missing', async () => {
    const [route] = ROUTES;
    const marker = randomUUID();
    const response = {
      taxonomy: ['PII.Contact.Email'],
      scores: { 'PII.Contact.Email': 0.9 },
      confidence: 0.9,
      processing_time_ms: 1,
      model_used: 'm',
    };
    const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    await sql.unsafe(`drop table if exists storage_records_d${day}`);
    const answer = await app.request('POST', '/api/v1/mappings/batch', {
      key: acme.writer,
      body: { items: [route?.item(marker, { response }), route?.item(marker, { response })] },
      headers: { 'idempotency-key': randomUUID() },
    });
    expect(outcomes(answer)).toEqual(['201 created', '201 created']);
    const found = await sql`select from storage_records where metadata ->> 'marker' = ${marker}`;
    expect(found).toHaveLength(2);
  });
});
