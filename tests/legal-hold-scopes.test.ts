import { describe, expect, it } from 'vitest';
import { openHoldScene } from './harness/hold-scene.ts';

// A scope with ids and with kinds or times holds only rows that meet both.

const {
  app,
  runJob,
  hold,
  placeHold,
  release,
  newOrchestration,
  newMapping,
  newAnalysis,
  newMetric,
  archived,
  exists,
  recordStays,
  blobStays,
} = await openHoldScene();
const DAY_MS = 86_400_000;
const BLOB_YEARS_DAYS = 7 * 366;

type Ids = Readonly<Record<'orchestration' | 'job' | 'mapping' | 'record', string>>;

interface Chain extends Ids {
  /** When the mapping and its record were made, after the orchestration. */
  readonly mappedAt: string;
  readonly made: Record<string, string>;
}

interface Scope {
  readonly record_ids: readonly string[];
  readonly data_types?: readonly string[];
  readonly created_from?: string;
  readonly created_to?: string;
}

/** An asynchronous orchestration, and a mapping of it with its record. */
async function newChain(): Promise<Chain> {
  const orchestration = await newOrchestration('async');
  const made = await newMapping(orchestration['request_id']);
  const [row] = await app.admin.core`
    select o.created_at < m.created_at as later, m.created_at from orchestration_requests o, mapper_requests m
     where o.request_id = ${orchestration['request_id'] ?? ''} and m.request_id = ${made['request_id'] ?? ''}`;
  expect(row?.['later']).toBe(true);
  return {
    orchestration: orchestration['request_id'] ?? '',
    job: orchestration['job_id'] ?? '',
    mapping: made['request_id'] ?? '',
    record: made['record_id'] ?? '',
    mappedAt: (row?.['created_at'] as Date).toISOString(),
    made,
  };
}

describe('a hold that names an orchestration by its job_id', () => {
  it.each([
    ['kind', ({ job }: Chain) => ({ record_ids: [job], data_types: ['storage_records'] })],
    ['time', ({ job, mappedAt }: Chain) => ({ record_ids: [job], created_from: mappedAt })],
  ])('and a %s of only its records keeps them in each run, and then their blob', async (_, scope) => {
    const chain = await newChain();
    const name = await archived(chain.record);
    const holdId = await placeHold(scope(chain));
    for (let run = 1; run <= 2; run++) {
      await runJob('records-expire', 92);
      expect([run, await recordStays(chain.made)]).toEqual([run, true]);
    }
    await app.admin.core`delete from storage_records where id = ${chain.record}`;
    for (let run = 1; run <= 2; run++) {
      await runJob('records-expire', 92);
      await runJob('blobs-tier', BLOB_YEARS_DAYS);
      expect([run, await blobStays(name)]).toEqual([run, true]);
    }
    await release(holdId);
    await runJob('records-expire', 92);
    expect(await exists('orchestration_requests', 'request_id', chain.orchestration)).toBe(false);
    await runJob('blobs-tier', BLOB_YEARS_DAYS + 2);
    expect(await blobStays(name)).toBe(false);
  });

  it('keeps no other orchestration', async () => {
    const [held, other] = [await newChain(), await newChain()];
    const holdId = await placeHold({ record_ids: [held.job], data_types: ['storage_records'] });
    await runJob('records-expire', 92);
    const stays = ({ orchestration }: Chain) => exists('orchestration_requests', 'request_id', orchestration);
    expect([await stays(held), await stays(other)]).toEqual([true, false]);
    await release(holdId);
  });
});

describe('an id without rows of the scope’s kind or time', () => {
  const refused = async (scope: Scope): Promise<void> => {
    const answer = await hold(scope);
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      scope.record_ids.map((_, n) => ({
        pointer: `/scope/record_ids/${n}`,
        detail: 'names nothing of these kinds and times that could be held',
      })),
    ]);
  };
  const past = '2020-01-01T00:00:00Z';
  const ahead = new Date(Date.now() + DAY_MS).toISOString();

  it('is refused for its kind', async () => {
    const { orchestration, job, mapping, record } = await newChain();
    const { request_id: analysis } = await newAnalysis();
    const metric = await newMetric();
    const all = [orchestration, job, mapping, record];
    await refused({ record_ids: all, data_types: ['analyses', 'analysis_metrics', 'audit_logs'] });
    await refused({ record_ids: [mapping, record], data_types: ['orchestrations'] });
    const evidence = ['storage_records', 'orchestrations', 'mappings'];
    await refused({ record_ids: [analysis ?? '', metric], data_types: evidence });
    await refused({ record_ids: [analysis ?? ''], data_types: ['analysis_metrics'] });
    await refused({ record_ids: [metric], data_types: ['analyses'] });
  });

  it('is refused for its time', async () => {
    const { orchestration, job, mapping, record } = await newChain();
    const { request_id: analysis } = await newAnalysis();
    const ids = [orchestration, job, mapping, record, analysis ?? '', await newMetric()];
    await refused({ record_ids: ids, created_to: past });
    // A completed orchestration can get no more rows.
    await refused({ record_ids: [mapping, record, analysis ?? ''], created_from: ahead });
    await archived(record);
    await refused({ record_ids: [mapping, record], created_to: past });
  });

  it('is refused if no row has both, although some rows have the kind and others the time', async () => {
    const { orchestration, job, mappedAt } = await newChain();
    const before = new Date(Date.parse(mappedAt) - 1).toISOString();
    await refused({ record_ids: [orchestration, job], data_types: ['mappings'], created_to: before });
    await refused({
      record_ids: [orchestration, job],
      data_types: ['orchestrations'],
      created_from: mappedAt,
    });
  });

  it('is reported by its place among valid ids', async () => {
    const { orchestration, record } = await newChain();
    const answer = await hold({ record_ids: [record, orchestration], data_types: ['orchestrations'] });
    expect([answer.status, answer.body.errors.length, answer.body.errors[0].pointer]).toEqual([
      400,
      1,
      '/scope/record_ids/0',
    ]);
  });
});

describe('an id with a row of the scope’s kind and time is accepted', () => {
  const taken = async (scope: unknown): Promise<void> => release(await placeHold(scope));

  it.each(['storage_records', 'mappings', 'orchestrations'])('for the kind %s', async (kind) => {
    const { orchestration, job, mapping, record } = await newChain();
    const upward = kind === 'orchestrations' ? [] : [mapping, record];
    await taken({ record_ids: [orchestration, job, ...upward], data_types: [kind] });
  });

  it('for a time, before its blob exists and when only the blob is left', async () => {
    const chain = await newChain();
    const { orchestration, job, mapping, record, mappedAt } = chain;
    const between = { created_from: mappedAt, created_to: mappedAt };
    await taken({ record_ids: [orchestration, job, mapping, record], ...between });
    await archived(record);
    await runJob('records-expire', 92);
    expect(await recordStays(chain.made)).toBe(false);
    await taken({ record_ids: [orchestration, mapping, record], ...between });
    await taken({ record_ids: [orchestration, mapping, record], data_types: ['mappings'] });
  });

  it('for a time, by the job_id of an orchestration that is held, when otherwise only the blob is left', async () => {
    const { job, record, mappedAt } = await newChain();
    await archived(record);
    const holdId = await placeHold({ data_types: ['orchestrations'] });
    await runJob('records-expire', 92);
    await taken({ record_ids: [job], created_from: mappedAt, created_to: mappedAt });
    await release(holdId);
  });

  it('if the row is still to come: a pending mapping, an orchestration without a mapping', async () => {
    const [open, orchestration] = [await newMapping(undefined, false), await newOrchestration('async')];
    const ids = [orchestration['request_id'], orchestration['job_id']];
    await taken({ record_ids: [open['request_id'], ...ids], data_types: ['storage_records'] });
    const ahead = new Date(Date.now() + DAY_MS).toISOString();
    await taken({ record_ids: [open['request_id'], ...ids], created_from: ahead });
    await taken({ record_ids: ids, data_types: ['mappings'], created_to: ahead });
  });

  it('unless it belongs to another tenant', async () => {
    const { record } = await newChain();
    const answer = await hold(
      { record_ids: [record], data_types: ['storage_records'] },
      app.keys.globex.owner,
    );
    expect(answer.status).toBe(400);
  });
});
