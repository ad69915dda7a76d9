import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openServices } from '../functions/services.ts';
import { AUDIT_RECORDED, newEvent, USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import type { Call, DatabaseName } from '../shared/platform/call/call.ts';
import { Problem } from '../shared/platform/call/problem.ts';
import { textOf, type Reply } from '../shared/platform/call/reply.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { leftoversSweep } from '../shared/domains/operations/sweep-leftovers.ts';
import { findExistingAnalyses } from '../shared/domains/analysis/find-existing.ts';
import { findExistingMappings } from '../shared/domains/mapping/find-existing.ts';
import { findExistingOrchestrations } from '../shared/domains/orchestration/find-existing.ts';
import { releaseAbandoned } from '../shared/domains/billing/metering/abandoned-reservations.ts';
import { defineHotWrite, singleReply, type HotWrite } from '../shared/platform/writes/hot-write.ts';
import { newEntry } from '../shared/platform/writes/outbox.ts';
import { outboxRelay } from '../shared/platform/writes/outbox-relay.ts';
import { performPlatformWrite, performWrite } from '../shared/platform/writes/perform-write.ts';
import { writeItems } from '../shared/platform/writes/write-items.ts';
import { startTestApp, until } from './harness/app.ts';
import { makeCall, type CallGiven } from './harness/own-call.ts';

// The test makes its own tenant table in each database, so that it covers writes to all three.

const app = await startTestApp();
const NAMES = ['core', 'billing', 'analytics'] as const satisfies readonly DatabaseName[];
const ROUTE = 'notes-create';
const OWNERS = [findExistingAnalyses, findExistingMappings, findExistingOrchestrations];
const OLD = new Date(Date.now() - 60_000);

for (const name of NAMES) {
  await app.admin[name].unsafe(`
    create table notes (tenant_id text not null, id uuid not null, text text not null, primary key (tenant_id, id));
    call ops.isolate_tenant('notes');
    grant select, insert on notes to comply_app, comply_jobs;
    create table outbox_copies (at serial, tenant_id text, events jsonb);
    create function copy_outbox() returns trigger language plpgsql security definer as
      'begin insert into public.outbox_copies (tenant_id, events) values (new.tenant_id, new.events); return null; end';
    create trigger copy_outbox after insert on ops.outbox for each row execute function copy_outbox()`);
}

const call = (given: Omit<CallGiven, 'route'>): Promise<Call> =>
  makeCall(app.services, { route: ROUTE, ...given });

type How = (call: Call, database: DatabaseName, text: string) => Promise<Reply>;

const byTransaction: How = (made, database, text) =>
  performWrite(
    made,
    async (transaction) => {
      const id = newId(made.now);
      await transaction.query('insert into notes (tenant_id, id, text) values ($1, $2, $3)', [
        made.tenant.tenantId,
        id,
        text,
      ]);
      return {
        reply: { status: 201, body: { id } },
        audit: { action: 'note.written', resource_type: 'note', resource_id: id },
      };
    },
    { database },
  );

const byOperator: How = (made, database, text) =>
  performPlatformWrite(
    made,
    async (transaction) => {
      const id = newId(made.now);
      await transaction.query('insert into notes (tenant_id, id, text) values ($1, $2, $3)', [
        made.tenant.tenantId,
        id,
        text,
      ]);
      return {
        reply: { status: 201, body: { id } },
        audit: { action: 'note.written', resource_type: 'note', resource_id: id },
      };
    },
    { database },
  );

const hotWrites = new Map<DatabaseName, HotWrite>(
  NAMES.map((database) => [
    database,
    defineHotWrite({
      database,
      route: ROUTE,
      columns: { text: 'text' },
      inserts: `, note as (
        insert into notes (tenant_id, id, text) select scope.tenant_id, request_id, text from fresh, scope)`,
    }),
  ]),
);

const byStatement: How = async (made, database, text) => {
  const hot = hotWrites.get(database);
  if (hot === undefined) throw new Error('no such database');
  const requestId = newId(made.now);
  return singleReply(
    await writeItems(made, hot, [
      {
        requestId,
        claim: made.idempotency,
        reply: { status: 201, body: { id: requestId } },
        audit: { action: 'note.written', resource_type: 'note', resource_id: requestId },
        usage: [{ usage_type: 'api_calls', usage_amount: 1 }],
        events: [],
        row: { text },
      },
    ]),
  );
};

const HOWS: Readonly<Record<string, How>> = {
  'in a transaction': byTransaction,
  'in a transaction of the cross-tenant role': byOperator,
  'in one statement': byStatement,
};
const cases = NAMES.flatMap((database) =>
  Object.entries(HOWS).map(([how, write]) => ({ database, how, write })),
);

function idOf(reply: Reply): string {
  return JSON.parse(textOf(reply) ?? '').id;
}
const codeOf = (write: Promise<Reply>): Promise<string> =>
  write.then(
    ({ status }) => String(status),
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  );
const notes = (database: DatabaseName, text: string) =>
  app.admin[database]`select tenant_id, id from notes where text = ${text}`;

describe.each(cases)('a write in $database, $how', ({ database, write }) => {
  it('is billed and audited once, from that database’s own outbox', async () => {
    const text = randomUUID();
    const reply = await write(await call({ tenant: 'acme' }), database, text);
    const copies = await app.admin[database]`
      select tenant_id, events from outbox_copies where events @> ${app.admin[database].json([
        { data: { resource_id: idOf(reply) } },
      ])}`;
    expect(copies.map((row) => [row['tenant_id'], row['events'].length])).toEqual([['acme', 2]]);
    const [usage] = copies[0]?.['events'] ?? [];
    await until(
      () => app.admin.billing`select from usage_records where event_id = ${usage.id}`,
      (rows) => rows.length === 1,
    );
    await until(
      () => app.admin.core`select from audit_logs where resource_id = ${idOf(reply)}`,
      (rows) => rows.length === 1,
    );
    await until(
      () => app.admin[database]`select from ops.outbox`,
      (rows) => rows.length === 0,
    );
  });

  it('happens once for its key, whose answer is stored only in the same database', async () => {
    const text = randomUUID();
    const key = randomUUID();
    const first = await write(await call({ tenant: 'acme', key, asked: text }), database, text);
    const again = await write(await call({ tenant: 'acme', key, asked: text }), database, text);
    expect([again.status, idOf(again), again.headers?.['idempotency-replayed']]).toEqual([
      201,
      idOf(first),
      'true',
    ]);
    expect(await notes(database, text)).toHaveLength(1);
    expect(await codeOf(write(await call({ tenant: 'acme', key, asked: 'other' }), database, text))).toBe(
      'IDEMPOTENCY_MISMATCH',
    );
    for (const name of NAMES) {
      const kept = await app.admin[name]`select from ops.idempotency where key = ${key}`;
      expect([name, kept.length]).toEqual([name, name === database ? 1 : 0]);
    }
  });

  it('has a separate effect for another tenant with the same key', async () => {
    const text = randomUUID();
    const key = randomUUID();
    const acme = await write(await call({ tenant: 'acme', key, asked: text }), database, text);
    const globex = await write(await call({ tenant: 'globex', key, asked: text }), database, text);
    expect(idOf(globex)).not.toBe(idOf(acme));
    expect((await notes(database, text)).map((row) => row['tenant_id']).sort()).toEqual(['acme', 'globex']);
    const seen = await app.services
      .forTenant('globex')
      [database].transaction((transaction) => transaction.query('select tenant_id from ops.idempotency'));
    expect(new Set(seen.map((row) => row['tenant_id']))).toEqual(new Set(['globex']));
  });

  it('is refused while another request has its key, and happens when that one has ended', async () => {
    const text = randomUUID();
    const key = randomUUID();
    await app.admin[database].begin(async (transaction) => {
      const name = ['acme', ROUTE, key].join('\u001f');
      await transaction`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`;
      expect(await codeOf(write(await call({ tenant: 'acme', key }), database, text))).toBe('CONFLICT');
    });
    expect(await codeOf(write(await call({ tenant: 'acme', key }), database, text))).toBe('201');
    expect(await notes(database, text)).toHaveLength(1);
  });

  it('can use an expired key before the sweep has run, and the old answer is not given again', async () => {
    const key = randomUUID();
    const [before, after] = [randomUUID(), randomUUID()];
    const first = await write(await call({ tenant: 'acme', key, asked: before }), database, before);
    await app.admin[database]`
      update ops.idempotency set created_at = created_at - interval '24 hours', expires_at = now() - interval '1 ms'
       where key = ${key}`;
    // Another request than the first one: if the old answer still counted, it would be refused.
    const second = await write(await call({ tenant: 'acme', key, asked: after }), database, after);
    expect([second.status, second.headers?.['idempotency-replayed']]).toEqual([201, undefined]);
    expect(idOf(second)).not.toBe(idOf(first));
    const again = await write(await call({ tenant: 'acme', key, asked: after }), database, after);
    expect([idOf(again), again.headers?.['idempotency-replayed']]).toEqual([idOf(second), 'true']);
    expect(await codeOf(write(await call({ tenant: 'acme', key, asked: before }), database, before))).toBe(
      'IDEMPOTENCY_MISMATCH',
    );
  });
});

describe.each(NAMES)('a write in %s', (database) => {
  it('that throws writes no row, no answer and no event', async () => {
    const text = randomUUID();
    const key = randomUUID();
    const failing = performWrite(
      await call({ tenant: 'acme', key }),
      async (transaction) => {
        await transaction.query('insert into notes (tenant_id, id, text) values ($1, $2, $3)', [
          'acme',
          randomUUID(),
          text,
        ]);
        throw new Problem('CONFLICT', { detail: 'no' });
      },
      { database },
    );
    expect(await codeOf(failing)).toBe('CONFLICT');
    expect(await notes(database, text)).toHaveLength(0);
    expect(await app.admin[database]`select from ops.idempotency where key = ${key}`).toHaveLength(0);
    // The key is free: the failure is not stored.
    expect(await codeOf(byTransaction(await call({ tenant: 'acme', key }), database, text))).toBe('201');
  });

  it('of a free tenant keeps its reservation while its event is in that database’s outbox', async () => {
    const made = await call({ tenant: 'globex' });
    const publisher = { publish: () => undefined };
    await byTransaction({ ...made, services: { ...made.services, publisher } }, database, randomUUID());
    const [row] = await app.admin[database]`
      select events -> 0 -> 'data' ->> 'reservation_id' as id from ops.outbox where tenant_id = 'globex'`;
    const standing = () =>
      app.admin.billing`select from ops.usage_reservations where reservation_id = ${row?.['id']}`;
    const inTwoDays = new Date(Date.now() + 2 * 86_400_000);
    await releaseAbandoned(app.services, OWNERS, inTwoDays, () => true);
    expect(await standing()).toHaveLength(1);
    await app.admin[database]`delete from ops.outbox`;
    await releaseAbandoned(app.services, OWNERS, inTwoDays, () => true);
    expect(await standing()).toHaveLength(0);
  });

  it('keeps its answer until it expires, and then the sweep deletes it', async () => {
    const [live, expired] = [randomUUID(), randomUUID()];
    for (const key of [live, expired])
      await byTransaction(await call({ tenant: 'acme', key }), database, randomUUID());
    await app.admin[database]`
      update ops.idempotency set expires_at = now() - interval '1 ms' where key = ${expired}`;
    await runJob(app.services, leftoversSweep, { triggeredBy: 'test' });
    const kept = await app.admin[database]`select key from ops.idempotency where key in ${app.admin[database](
      [live, expired],
    )}`;
    expect(kept.map((row) => row['key'])).toEqual([live]);
  });
});

describe.each(NAMES)('a write of a table by the day, in %s', (database) => {
  it.each(['in a transaction', 'in one statement'])(
    'makes a partition of today that is missing, %s',
    async (how) => {
      const table = how === 'in a transaction' ? 'daily_notes' : 'daily_stated_notes';
      await app.admin[database].unsafe(`
      set role comply_owner;
      create table ${table} (tenant_id text not null, id uuid not null, created_at timestamptz not null,
        primary key (tenant_id, id, created_at)) partition by range (created_at);
      call ops.isolate_tenant('${table}');
      grant select, insert on ${table} to comply_app;
      reset role`);
      const made = await call({ tenant: 'acme' });
      const written = { dailyTable: table, database };
      const id = newId(made.now);
      const audit = { action: 'note.written', resource_type: 'note', resource_id: id };
      if (how === 'in a transaction') {
        const values = ['acme', id, made.now];
        await performWrite(
          made,
          async (transaction) => {
            await transaction.query(
              `insert into ${table} (tenant_id, id, created_at) values ($1, $2, $3)`,
              values,
            );
            return { reply: { status: 200, body: {} }, audit };
          },
          written,
        );
      } else {
        const inserts = `, note as (insert into ${table} (tenant_id, id, created_at)
        select scope.tenant_id, request_id, written_at from fresh, scope)`;
        const hot = defineHotWrite({ ...written, route: ROUTE, columns: {}, inserts });
        const item = {
          requestId: id,
          claim: null,
          reply: { status: 200, body: {} },
          audit,
          usage: [],
          events: [],
          row: {},
        };
        expect(await writeItems(made, hot, [item])).toMatchObject([{ outcome: 'created' }]);
      }
      const day = made.now.toISOString().slice(0, 10).replaceAll('-', '');
      const rows = await app.admin[database].unsafe(
        `select tableoid::regclass::text as partition from ${table}`,
      );
      expect(rows.map((row) => row['partition'])).toEqual([`${table}_d${day}`]);
    },
  );
});

describe('an operator’s write that concerns a tenant', () => {
  it('makes an outbox row for each of the two, with only its events, and none goes to quarantine', async () => {
    const tenant = `made-${randomUUID().slice(0, 8)}`;
    const created = await app.request('POST', '/api/v1/platform/tenants', {
      key: app.keys.operator,
      body: { tenant_id: tenant, name: 'Made' },
    });
    expect(created.status).toBe(201);
    const copies = await app.admin.core`
      select tenant_id, events from outbox_copies where events @> ${app.admin.core.json([
        { data: { action: 'tenant.created', resource_id: tenant } },
      ])}`;
    expect(copies.map((row) => row['tenant_id']).sort()).toEqual([tenant, 'platform'].sort());
    for (const row of copies)
      for (const event of row['events']) expect(event.data.tenant_id).toBe(row['tenant_id']);
    await until(
      () => app.admin.core`
        select tenant_id from audit_logs where action = 'tenant.created' and resource_id = ${tenant}`,
      (rows) => rows.length === 2,
    );
    expect(
      await app.admin
        .core`select from ops.quarantine where tenant_id in ${app.admin.core([tenant, 'platform'])}`,
    ).toHaveLength(0);
  });

  it('cannot be made by a tenant: an event for another tenant is refused, and nothing is written', async () => {
    const text = randomUUID();
    const made = await call({ tenant: 'acme' });
    for (const other of ['globex', 'platform']) {
      const foreign = performWrite(made, async (transaction) => {
        await transaction.query('insert into notes (tenant_id, id, text) values ($1, $2, $3)', [
          'acme',
          newId(),
          text,
        ]);
        const audit = { action: 'note.written', resource_type: 'note', tenant_id: other };
        return { reply: { status: 200, body: {} }, audit };
      });
      await expect(foreign).rejects.toMatchObject({ code: '42501' });
    }
    expect(await notes('core', text)).toHaveLength(0);
    expect(() => newEntry('core', 'acme', [usageOf('globex', text)], made.now)).toThrow('another tenant');
  });
});

describe.each(NAMES)('an operator’s write for a tenant, in %s', (database) => {
  /** A call of the platform's, bound to acme's databases as the wrapper binds it; on the free plan, to see what is reserved. */
  async function workingForAcme(key?: string): Promise<Call> {
    const made = await call({ tenant: 'platform', ...(key === undefined ? {} : { key }) });
    const databases = app.services.forTenant('acme');
    return { ...made, tenant: databases.core, databases, context: { ...made.context, planId: 'free' } };
  }

  it('is one transaction as that tenant: its row, its key, and each tenant’s events in a row of that one', async () => {
    const text = randomUUID();
    const key = randomUUID();
    const write = async (): Promise<Reply> =>
      performWrite(
        await workingForAcme(key),
        async (transaction) => {
          const id = newId();
          await transaction.query('insert into notes (tenant_id, id, text) values ($1, $2, $3)', [
            'acme',
            id,
            text,
          ]);
          const audit = { action: 'note.written', resource_type: 'note', resource_id: id, tenant_id: 'acme' };
          return { reply: { status: 201, body: { id } }, audit };
        },
        { database },
      );
    const id = idOf(await write());
    expect(idOf(await write())).toBe(id);
    expect((await notes(database, text)).map((row) => row['tenant_id'])).toEqual(['acme']);
    const kept = await app.admin[database]`select tenant_id from ops.idempotency where key = ${key}`;
    expect(kept.map((row) => row['tenant_id'])).toEqual(['acme']);
    const caused = await app.admin[database]`
      select c.tenant_id, e ->> 'type' as type, e -> 'data' ->> 'tenant_id' as named
        from (select * from outbox_copies order by at desc limit 2) c, jsonb_array_elements(c.events) e order by 1`;
    expect(caused.map((row) => [row['tenant_id'], row['named'], row['type']])).toEqual([
      ['acme', 'acme', AUDIT_RECORDED],
      ['platform', 'platform', USAGE_RECORDED],
    ]);
  });

  it('reaches rows of no other tenant, not even the platform’s', async () => {
    const text = randomUUID();
    for (const tenant of ['platform', 'globex']) {
      const foreign = performWrite(
        await workingForAcme(),
        async (transaction) => {
          await transaction.query('insert into notes (tenant_id, id, text) values ($1, $2, $3)', [
            tenant,
            newId(),
            text,
          ]);
          return {
            reply: { status: 200, body: {} },
            audit: { action: 'note.written', resource_type: 'note' },
          };
        },
        { database },
      );
      await expect(foreign).rejects.toMatchObject({ code: '42501' });
    }
    expect(await notes(database, text)).toHaveLength(0);
  });
});

function usageOf(tenantId: string, type: string) {
  return newEvent(USAGE_RECORDED, { tenant_id: tenantId, usage_type: type, usage_amount: 1 }, OLD);
}

async function leave(database: DatabaseName, events: unknown, tenantId = 'acme', id = randomUUID()) {
  const sql = app.admin[database];
  await sql`insert into ops.outbox (id, tenant_id, events, created_at)
            values (${id}, ${tenantId}, ${JSON.stringify(events)}::text::jsonb, ${OLD})`;
  return id;
}

const counted = async (type: string): Promise<readonly string[]> => {
  const rows = await app.admin.billing`select tenant_id from usage_records where usage_type = ${type}`;
  return rows.map((row) => row['tenant_id']);
};
const waiting = async (database: DatabaseName): Promise<number> =>
  (await app.admin[database]`select from ops.outbox where created_at <= ${OLD}`).length;

describe('outbox-relay', () => {
  it('publishes the rest of all three outboxes', async () => {
    const type = randomUUID();
    for (const name of NAMES) await leave(name, [usageOf('acme', type)]);
    const run = await runJob(app.services, outboxRelay, { triggeredBy: 'test' });
    expect(run).toMatchObject({ status: 'completed', examined: 3, deleted: 3 });
    await until(
      () => counted(type),
      (tenants) => tenants.length === 3,
    );
    for (const name of NAMES) expect([name, await waiting(name)]).toEqual([name, 0]);
  });

  it('takes the databases in turns, so that a long outbox does not delay the others', async () => {
    const type = randomUUID();
    const sql = app.admin.core;
    const event = sql.json([usageOf('acme', type)] as never);
    await sql`insert into ops.outbox (id, tenant_id, events, created_at)
              select gen_random_uuid(), 'acme', ${event}, ${OLD} from generate_series(1, 450)`;
    await leave('analytics', [usageOf('acme', type)]);
    const order: number[] = [];
    const bus = {
      publish: (events: readonly unknown[]) => Promise.resolve(void order.push(events.length)),
      send: () => Promise.resolve(),
      peek: () => Promise.resolve([]),
    };
    await runJob({ ...app.services, bus }, outboxRelay, { triggeredBy: 'test' });
    expect(order).toEqual([200, 1, 200, 50]);
  });

  it.each(['billing', 'analytics'] as const)(
    'publishes the others’ events while %s is unavailable, reports it, and catches up afterwards',
    async (away) => {
      const type = randomUUID();
      for (const name of NAMES) await leave(name, [usageOf('acme', type)]);
      const nowhere = 'postgres://comply_jobs@127.0.0.1:1/nowhere';
      const setting = `${away.toUpperCase()}_CROSS_TENANT_DATABASE_URL`;
      const crippled = openServices({ ...app.settings, [setting]: nowhere });
      try {
        await expect(runJob(crippled, outboxRelay, { triggeredBy: 'test' })).rejects.toThrow();
      } finally {
        await crippled.close();
      }
      const [run] = await app.admin.core`
        select status, examined::int, details from retention_runs where job = 'outbox-relay' order by started_at desc limit 1`;
      expect(run).toMatchObject({ status: 'failed', examined: 2, details: { [`${away}_failed`]: true } });
      for (const name of NAMES) expect([name, await waiting(name)]).toEqual([name, name === away ? 1 : 0]);
      expect(await runJob(app.services, outboxRelay, { triggeredBy: 'test' })).toMatchObject({
        status: 'completed',
        examined: 1,
      });
      await until(
        () => counted(type),
        (tenants) => tenants.length === 3,
      );
    },
  );

  const audit = newEvent(
    AUDIT_RECORDED,
    { tenant_id: 'acme', action: 'thing.done', resource_type: 'thing' },
    OLD,
  );
  it.each([
    ['an object', { events: [] }, ''],
    ['a text', 'events', ''],
    ['null', null, ''],
    ['a list of what are no events', [1], ''],
    ['a list of lists', [[audit]], ''],
    ['an event without a type', [{ ...audit, type: undefined }], '/type'],
    ['an event of another version', [{ ...audit, specversion: '0.3' }], '/specversion'],
    ['an event at no time', [{ ...audit, time: 'yesterday' }], '/time'],
    ['an event whose id is longer than a message’s', [{ ...audit, id: 'x'.repeat(129) }], '/id'],
    ['an event of a type that no queue takes', [{ ...audit, type: 'com.example.unheard' }], '/type'],
  ])('quarantines a row with %s, and publishes all younger rows', async (_, events, pointer) => {
    const type = randomUUID();
    await app.admin.core`delete from ops.quarantine`;
    await leave('billing', events, 'acme', '00000000-0000-7000-8000-000000000001');
    for (const name of NAMES) await leave(name, [usageOf('acme', type)]);
    await leave('billing', [usageOf('acme', type)], 'acme', 'ffffffff-0000-7000-8000-000000000001');
    const run = await runJob(app.services, outboxRelay, { triggeredBy: 'test' });
    expect(run).toMatchObject({ status: 'completed', examined: 5, details: { quarantined: 1 } });
    await until(
      () => counted(type),
      (tenants) => tenants.length === 4,
    );
    for (const name of NAMES) expect([name, await waiting(name)]).toEqual([name, 0]);
    const aside = await app.admin.core`select reason, tenant_id, detail, body from ops.quarantine`;
    expect(aside).toMatchObject([{ reason: 'UNPUBLISHABLE', tenant_id: 'acme' }]);
    expect(aside[0]?.['detail']).toMatchObject([{ pointer, detail: expect.any(String) }]);
    const content: unknown = Array.isArray(events) ? events[0] : events;
    expect(JSON.parse(String(aside[0]?.['body']))).toEqual(JSON.parse(JSON.stringify(content)));
  });

  it.each(NAMES)(
    'counts nothing for a tenant that is named in another tenant’s row in %s',
    async (database) => {
      const type = randomUUID();
      await app.admin.core`delete from ops.quarantine`;
      await leave(database, [usageOf('acme', type), usageOf('globex', type)], 'acme');
      await leave(database, [usageOf('acme', type)], 'acme');
      await runJob(app.services, outboxRelay, { triggeredBy: 'test' });
      await until(
        () => counted(type),
        (tenants) => tenants.length === 2,
      );
      expect(await counted(type)).toEqual(['acme', 'acme']);
      const aside = await app.admin.core`select queue, reason, tenant_id, detail from ops.quarantine`;
      expect(aside).toMatchObject([
        {
          queue: 'usage-events',
          reason: 'UNPUBLISHABLE',
          tenant_id: 'acme',
          detail: [{ pointer: '/data/tenant_id' }],
        },
      ]);
    },
  );
});

describe('the publisher', () => {
  it('leaves an entry with another tenant’s event to the relay, which quarantines the event', async () => {
    const type = randomUUID();
    await app.admin.core`delete from ops.quarantine`;
    const id = await leave('core', [usageOf('globex', type)], 'acme');
    const entry = { id, database: 'core', tenantId: 'acme', events: [usageOf('globex', type)] } as const;
    app.services.publisher.publish(entry);
    app.services.publisher.publish(newEntry('core', 'acme', [usageOf('acme', type)], new Date()));
    await app.services.publisher.drain();
    await until(
      () => counted(type),
      (tenants) => tenants.length > 0,
    );
    expect(await waiting('core')).toBe(1);
    await runJob(app.services, outboxRelay, { triggeredBy: 'test' });
    expect(await app.admin.core`select reason from ops.quarantine`).toMatchObject([
      { reason: 'UNPUBLISHABLE' },
    ]);
    expect(await counted(type)).toEqual(['acme']);
  });
});
