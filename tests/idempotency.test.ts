import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newId } from '../shared/platform/ids/ids.ts';
import { startTestApp, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const key = app.keys.acme.writer;

/** One request: under one of two keys, with one of two bodies, alone or as the item of a batch. */
interface Sending {
  readonly key: 'a' | 'b';
  readonly body: 'x' | 'y';
  readonly how: 'alone' | 'quoted' | 'batch';
}

/** An answer, in the same form for the single route and for batches. */
interface Outcome {
  readonly sending: Sending;
  readonly status: number;
  readonly requestId: string | undefined;
  readonly isFirst: boolean;
}

const sendings = fc.record<Sending>({
  key: fc.constantFrom('a', 'a', 'b'),
  body: fc.constantFrom('x', 'x', 'y'),
  how: fc.constantFrom('alone', 'alone', 'quoted', 'batch'),
});
/** Groups of requests. The requests of a group are sent at once, the groups one after the other. */
const interleavings = fc.array(fc.array(sendings, { minLength: 1, maxLength: 6 }), {
  minLength: 1,
  maxLength: 4,
});

const mappingOf = (run: string, body: string): object => ({
  detector: run,
  source_data: `source ${body}`,
  model_version: 'v1',
});

async function send(run: string, sending: Sending): Promise<Outcome> {
  const idempotencyKey = `${run}-${sending.key}`;
  const body = mappingOf(run, sending.body);
  if (sending.how === 'batch') {
    const items = [{ ...body, idempotency_key: idempotencyKey }];
    const answer = await app.request('POST', '/api/v1/mappings/batch', { key, body: { items } });
    expect(answer.status).toBe(207);
    const [item] = answer.body.items;
    const status = item.outcome === 'duplicate' ? 201 : item.status;
    return { sending, status, requestId: item.request_id, isFirst: item.outcome === 'created' };
  }
  const header = sending.how === 'quoted' ? `"${idempotencyKey}"` : idempotencyKey;
  const headers = { 'idempotency-key': header };
  const answer = await app.request('POST', '/api/v1/mappings', { key, body, headers });
  return {
    sending,
    status: answer.status,
    requestId: answer.body.request_id,
    isFirst: answer.status === 201 && !answer.headers.has('idempotency-replayed'),
  };
}

describe('an idempotency key', () => {
  it(
    'has one effect and one answer in any interleaving of the same and other bodies, alone and in batches',
    { timeout: 120_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(interleavings, async (groups) => {
          const run = newId();
          const outcomes: Outcome[] = [];
          for (const group of groups) {
            const answered = await Promise.all(group.map((sending) => send(run, sending)));
            for (const name of ['a', 'b']) {
              const ofKey = answered.filter(({ sending }) => sending.key === name);
              // A 409 needs another request that runs. So of requests at once, one is answered; a single request is always answered.
              const isAnswered = ofKey.length === 0 || ofKey.some(({ status }) => status !== 409);
              expect([name, isAnswered]).toEqual([name, true]);
            }
            outcomes.push(...answered);
          }
          for (const name of ['a', 'b']) await expectOneEffect(run, outcomes, name);
        }),
        { numRuns: 25 },
      );
    },
  );

  async function expectOneEffect(run: string, all: readonly Outcome[], name: string): Promise<void> {
    const outcomes = all.filter(({ sending }) => sending.key === name);
    const rows = await app.admin
      .core`select request_id from mapper_requests where idempotency_key = ${`${run}-${name}`}`;
    expect(rows).toHaveLength(outcomes.length === 0 ? 0 : 1);
    const first = outcomes.filter(({ isFirst }) => isFirst);
    expect(first).toHaveLength(outcomes.length === 0 ? 0 : 1);
    for (const { sending, status, requestId } of outcomes) {
      if (status === 409) continue;
      const isSame = sending.body === first[0]?.sending.body;
      expect([sending, status, requestId]).toEqual([
        sending,
        isSame ? 201 : 422,
        isSame ? rows[0]?.['request_id'] : undefined,
      ]);
    }
  }

  const forms = fc.constantFrom<((name: string) => string)[]>(
    (name) => name,
    (name) => `"${name}"`,
    (name) => ` ${name} `,
    (name) => `"${name}" `,
  );

  it(
    'is the same key with or without quotes, and another key with any other letter',
    { timeout: 60_000 },
    async () => {
      const names = fc.stringMatching(/^[!#-[\]-~]([ !#-[\]-~]{0,28}[!#-[\]-~])?$/);
      await fc.assert(
        fc.asyncProperty(names, forms, forms, async (name, first, second) => {
          const run = newId();
          const ask = (header: string): Promise<TestAnswer> =>
            app.request('POST', '/api/v1/mappings', {
              key,
              body: mappingOf(run, 'x'),
              headers: { 'idempotency-key': header },
            });
          const unique = `${run}${name}`;
          const [one, two, other] = [
            await ask(first(unique)),
            await ask(second(unique)),
            await ask(`${unique}.`),
          ];
          expect([one.status, two.status, other.status]).toEqual([201, 201, 201]);
          expect(two.headers.get('idempotency-replayed')).toBe('true');
          expect(two.body).toEqual(one.body);
          expect(other.body.request_id).not.toBe(one.body.request_id);
        }),
        { numRuns: 25 },
      );
    },
  );

  it('belongs to its route: the same key on another route has its own effect', async () => {
    const headers = { 'idempotency-key': newId() };
    const mapped = await app.request('POST', '/api/v1/mappings', {
      key,
      body: mappingOf('routes', 'x'),
      headers,
    });
    const planned = await app.request('POST', '/api/v1/routing-plans', {
      key,
      body: { plan_name: newId() },
      headers,
    });
    expect([mapped.status, planned.status]).toEqual([201, 201]);
    expect(planned.headers.has('idempotency-replayed')).toBe(false);
  });
});
