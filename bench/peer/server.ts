/**
 * A simple service for comparison: Fastify, `pg`, and a transaction of several statements. It writes the record and its
 * outbox row into this app's own tables, under row security. It has no credentials, idempotency, sealing or metering. Run as
 * `node server.ts CONNECTION_STRING CONNECTIONS`. It sends its port to its parent over IPC.
 */
import { fastify } from 'fastify';
import pg from 'pg';
import { z } from 'zod';

const [, , connectionString, connections = '16'] = process.argv;
const pool = new pg.Pool({ connectionString, max: Number(connections) });

const body = z.object({
  detector: z.string(),
  source_data: z.string(),
  model_version: z.string(),
  metadata: z.record(z.string(), z.unknown()),
  response: z.record(z.string(), z.unknown()),
});

const SCOPE = {
  name: 'scope',
  text: `select set_config('app.current_tenant_id', 'acme', true)`,
};
const RECORD = {
  name: 'record',
  text: `insert into storage_records (tenant_id, id, partition_day, source_data, mapped_data, model_version, detector,
           timestamp, metadata, source_id, encryption_key_id, created_at, expires_at, azure_region, resource_group)
         values ('acme', uuidv7(), current_date, $1, $2, $3, $4, now(), $5, uuidv7(), uuidv7(), now(),
           now() + interval '90 days', 'eastus', 'comply-ai-rg') returning id`,
};
const OUTBOX = {
  name: 'outbox',
  text: `insert into ops.outbox (id, tenant_id, events) values (uuidv7(), 'acme', $1)`,
};

/** Events that such a service would publish, as large as this app's. */
function eventsOf(id: string): string {
  const event = (type: string, data: object): object => ({
    specversion: '1.0',
    id,
    source: '/peer',
    type,
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    data: { tenant_id: 'acme', ...data },
  });
  return JSON.stringify([
    event('com.comply-ai.usage.recorded.v1', { usage_type: 'api_calls', usage_amount: 1 }),
    event('com.comply-ai.audit.recorded.v1', {
      action: 'mapping.created',
      resource_id: id,
      outcome: 'success',
    }),
    event('com.comply-ai.record.archive-requested.v1', { record_id: id }),
  ]);
}

async function createMapping(given: z.output<typeof body>): Promise<string> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query(SCOPE);
    const { rows } = await client.query<{ id: string }>({
      ...RECORD,
      values: [
        Buffer.from(given.source_data),
        given.response,
        given.model_version,
        given.detector,
        given.metadata,
      ],
    });
    const id = rows[0]?.id ?? '';
    await client.query({ ...OUTBOX, values: [eventsOf(id)] });
    await client.query('commit');
    return id;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

const app = fastify();
app.post('/api/v1/mappings', async (request, reply) => {
  const given = body.parse(request.body);
  const id = await createMapping(given);
  return reply.code(201).send({ record_id: id, detector: given.detector, ...given.response });
});
const address = await app.listen({ host: '127.0.0.1', port: 0 });
process.on('disconnect', () => process.exit(0));
process.send?.({ port: Number(new URL(address).port) });
