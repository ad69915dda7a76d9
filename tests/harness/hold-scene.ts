import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { startTestApp, until, type TestAnswer, type TestApp } from './app.ts';

const DAY_MS = 86_400_000;

const response = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.97 },
  confidence: 0.97,
  processing_time_ms: 120,
  model_used: 'mapper-8b',
};

/** The answer of a POST. Each field that tests read is a text. */
type Made = Record<string, string>;

/** An app with the helpers of the legal hold tests. */
export interface HoldScene {
  readonly app: TestApp;
  readonly send: (path: string, body: unknown, key?: string) => Promise<TestAnswer>;
  /** Runs a job as of some days from now, and returns the run. */
  readonly runJob: (job: string, days: number) => Promise<Record<string, number>>;
  readonly hold: (scope: unknown, key?: string) => Promise<TestAnswer>;
  /** Places a hold and returns its id. */
  readonly placeHold: (scope: unknown) => Promise<string>;
  readonly release: (holdId: string) => Promise<void>;
  readonly newOrchestration: (mode?: 'sync' | 'async') => Promise<Made>;
  readonly newMapping: (orchestrationId?: string, answered?: boolean) => Promise<Made>;
  readonly newAnalysis: () => Promise<Made>;
  readonly newMetric: () => Promise<string>;
  /** Waits until a record has its blob, and returns the blob's name. */
  readonly archived: (recordId: string | undefined) => Promise<string>;
  readonly exists: (table: string, column: string, id: string | undefined) => Promise<boolean>;
  readonly recordStays: (mapping: Made) => Promise<boolean>;
  readonly mappingStays: (mapping: Made) => Promise<boolean>;
  readonly blobStays: (name: string) => Promise<boolean>;
}

/** Starts an app for a test file of legal holds. All rows belong to the tenant acme. */
export async function openHoldScene(): Promise<HoldScene> {
  const app = await startTestApp();
  const { acme, operator } = app.keys;
  const send = (path: string, body: unknown, key = acme.writer) =>
    app.request('POST', `/api/v1/${path}`, { key, body });
  const make = async (path: string, body: unknown): Promise<Made> => {
    const answer = await send(path, body);
    expect([path, answer.status]).toEqual([path, 201]);
    return answer.body;
  };
  const hold = (scope: unknown, key = acme.owner) =>
    send('legal-holds', { name: 'case', reason: 'litigation', scope }, key);
  const exists = async (table: string, column: string, id: string | undefined): Promise<boolean> => {
    const rows = await app.admin.core.unsafe(`select from ${table} where ${column} = $1`, [id ?? '']);
    return rows.length === 1;
  };
  return {
    app,
    send,
    hold,
    exists,
    async runJob(job, days) {
      const answer = await app.request('POST', `/api/v1/platform/jobs/${job}/runs`, {
        key: operator,
        body: { as_of: new Date(Date.now() + days * DAY_MS).toISOString() },
      });
      expect([answer.status, answer.body.status]).toEqual([200, 'completed']);
      return answer.body;
    },
    async placeHold(scope) {
      const answer = await hold(scope);
      expect([answer.status, answer.body.errors]).toEqual([201, undefined]);
      return answer.body.hold_id;
    },
    async release(holdId) {
      expect((await send(`legal-holds/${holdId}/release`, {}, acme.owner)).status).toBe(200);
    },
    newOrchestration: (mode = 'sync') =>
      make('orchestrations', {
        content: 'text',
        content_type: 'text',
        policy_bundle: 'default',
        environment: 'prod',
        processing_mode: mode,
      }),
    newMapping: (orchestrationId, answered = true) =>
      make('mappings', {
        detector: 'regex-pii',
        source_data: randomUUID(),
        model_version: 'v1',
        ...(orchestrationId === undefined ? {} : { orchestration_request_id: orchestrationId }),
        ...(answered ? { response } : {}),
      }),
    newAnalysis: () =>
      make('analyses', {
        period: { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' },
        metrics: { coverage: 0.5 },
      }),
    async newMetric() {
      const body = {
        metrics: [{ metric_name: 'held', metric_value: 1, time_period: '2026-11-01T00:00:00Z' }],
      };
      const answer = await send('analysis-metrics', body);
      expect(answer.status).toBe(201);
      return answer.body.ids[0];
    },
    async archived(recordId) {
      const [row] = await until(
        () => app.admin.core`select blob_name from ops.blobs where record_id = ${recordId ?? ''}`,
        (rows) => rows.length === 1,
      );
      return String(row?.['blob_name']);
    },
    recordStays: (mapping) => exists('storage_records', 'id', mapping['record_id']),
    mappingStays: (mapping) => exists('mapper_requests', 'request_id', mapping['request_id']),
    blobStays: async (name) => (await app.services.blobs.describe('mapper-outputs', name)) !== undefined,
  };
}
