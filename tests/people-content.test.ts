import { expect, test } from 'vitest';
import { withConnection } from '../tools/migrate/connect.ts';
import { DATABASES } from '../tools/migrate/databases.ts';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp();
const { owner } = app.keys.acme;

/** Stands for whatever nobody may read but the tenant. It is in each free part of the requests below. */
const CONTENT = 'MARKER-of-the-content';
const free = { said: CONTENT, nested: { also: [CONTENT] } };

async function send(method: string, path: string, body: unknown, key = owner): Promise<string> {
  const answer = await app.request(method, `/api/v1/${path}`, {
    key,
    body,
    headers: { 'idempotency-key': `${CONTENT}-${path}`, 'user-agent': CONTENT },
  });
  expect([path, answer.status, answer.body]).toEqual([
    path,
    expect.toSatisfy((s: number) => s < 300),
    expect.anything(),
  ]);
  return answer.body.request_id;
}

async function writeEverything(): Promise<void> {
  const cost = { processing_time_ms: 3, model_used: 'mapper-8b' };
  await send('POST', 'mappings', {
    detector: 'regex-pii',
    source_data: CONTENT,
    output: free,
    model_version: 'v1',
    metadata: free,
    response: {
      taxonomy: ['PII.Identifier.SSN'],
      scores: { 'PII.Identifier.SSN': 0.9 },
      confidence: 0.9,
      notes: CONTENT,
      provenance: { raw_ref: CONTENT },
      policy_context: free,
      version_info: free,
      ...cost,
    },
  });
  await send('POST', 'orchestrations', {
    content: CONTENT,
    content_type: 'text',
    policy_bundle: 'default',
    environment: 'prod',
    metadata: free,
    detector_results: [
      {
        detector: 'regex-pii',
        status: 'success',
        output: free,
        metadata: free,
        processing_time_ms: 3,
        confidence: 1,
      },
      { detector: 'other', status: 'failed', error: CONTENT, processing_time_ms: 3 },
    ],
    response: {
      total_processing_time_ms: 5,
      aggregated_payload: free,
      mapping_result: free,
      routing_decision: free,
    },
  });
  await send('POST', 'analyses', {
    period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' },
    metrics: free,
    evidence_refs: [CONTENT],
    metadata: free,
    response: {
      explanation: CONTENT,
      remediation_steps: [CONTENT],
      policy_recommendations: [free],
      confidence: 0.9,
      analysis_metadata: free,
      version_info: free,
      ...cost,
    },
  });
  await send('POST', 'legal-holds', { name: CONTENT, reason: CONTENT, scope: { data_types: ['analyses'] } });
  await send('POST', 'api-keys', { key_name: CONTENT, permission_set: 'reader' });
  await send('POST', 'detector-configs', {
    detector_name: 'mine',
    detector_type: 'pii',
    version: '1',
    configuration: free,
    endpoint_url: `https://user:${CONTENT}@detector.example.com`,
  });
  // Refused by its consumer, so that its bytes are in quarantine.
  await app.services.bus.send('usage-events', [{ body: { not: 'an event', said: CONTENT } }]);
  await until(
    () => app.admin.core`select from ops.quarantine`,
    (rows) => rows.length > 0,
  );
  // What only Stripe writes.
  await app.admin.billing`
    insert into stripe_events (event_id, type, created, received_at, payload, error)
    values ('evt_1', 'customer.updated', now(), now(), ${JSON.stringify({ email: CONTENT })}::jsonb, ${CONTENT})`;
  await app.admin.billing`
    insert into payment_methods (tenant_id, payment_method_id, type, billing_address, stripe_payment_method_id, synced_at, created_at)
    values ('acme', gen_random_uuid(), 'card', ${JSON.stringify({ line1: CONTENT })}::jsonb, 'pm_1', now(), now())`;
  await until(
    () => app.admin.core`select from audit_logs where resource_type = 'mapping'`,
    (rows) => rows.length > 0,
  );
}

test('no view for people shows content, notes, names of keys, hashes, payloads or addresses', async () => {
  await writeEverything();
  const secrets = await app.admin
    .core`select encode(key_hash, 'hex') as hash, key_prefix as prefix from api_keys`;
  let rows = 0;
  let everywhere = 0;
  for (const database of DATABASES) {
    await withConnection(app.databases[database].admin, async (client) => {
      const { rows: tables } = await client.query<{ table: string; view: string }>(
        `select v.oid::regclass::text as view, coalesce(to_regclass('public.' || v.relname), to_regclass('ops.' || v.relname))::text as table
         from pg_class v where v.relnamespace = 'people'::regnamespace`,
      );
      // The marker is really in the tables: otherwise this test would prove nothing.
      for (const { table } of tables) {
        const found = await client.query(`select from ${table} t where t::text like '%${CONTENT}%'
          or t::text like '%${Buffer.from(CONTENT).toString('hex')}%'`);
        everywhere += found.rowCount ?? 0;
      }
      await client.query('set role comply_readonly');
      for (const { view } of tables) {
        const shown = await client.query(`select * from ${view}`);
        rows += shown.rows.length;
        const text = JSON.stringify(shown.rows);
        expect(text, view).not.toContain(CONTENT);
        expect(text, view).not.toContain(Buffer.from(CONTENT).toString('hex'));
        for (const { hash, prefix } of secrets) {
          expect(text, view).not.toContain(hash);
          expect(text, view).not.toContain(prefix);
        }
      }
    });
  }
  expect(rows).toBeGreaterThan(20);
  expect(everywhere).toBeGreaterThan(10);
});
