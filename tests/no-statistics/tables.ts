import { randomUUID } from 'node:crypto';
import { newId } from '../../shared/platform/ids/ids.ts';
import { utcDay } from '../../shared/platform/time/clock.ts';
import type { TestApp } from '../harness/app.ts';

// The tables that the tests beside this file fill, and which rows of theirs batches concern.

export const ROWS = 100_000;
/** Rows that a batch concerns, where there are few. */
export const BATCH = 50;

export const now = new Date();
export const today = utcDay(now);

/** The ids of the rows that batches concern; a record's tells its day, as those that this service makes do. */
export const ids = Array.from({ length: BATCH }, () => newId(now));
export const sources = Array.from({ length: BATCH }, () => randomUUID());

type Database = keyof TestApp['admin'];

/** How a table is filled. */
export interface Filled {
  readonly database: Database;
  readonly table: string;
  readonly partition?: string;
  /** Percent of a page that is filled: rows that are short need more pages, see `fill.ts`. */
  readonly fillfactor?: number;
  /** Columns and their expressions; `n` counts from 1, the batch's rows come last, `ids` and `sources` are their ids. */
  readonly columns: Readonly<Record<string, string>>;
}

const IS_BATCH = 'n > rows - batch';
/** An id of version 4, the same in each table. */
const other = (what: string): string =>
  `overlay(overlay(md5('${what}' || n) placing '4' from 13) placing '8' from 17)::uuid`;
const ID = `case when ${IS_BATCH} then ids[n - rows + batch] else ${other('id')} end`;
const SOURCE = `case when ${IS_BATCH} then sources[n - rows + batch] else ${other('source')} end`;
/** Two batches' worth of rows are other tenants'; those of the last are expired, and old. */
const TENANT = `case when ${IS_BATCH} then 'globex' when n > rows - 2 * batch then 'initech' else 'acme' end`;
const EXPIRES = `case when ${IS_BATCH} then at - interval '1 day' else at + interval '90 days' end`;
const CREATED = `at - case when ${IS_BATCH} then interval '1 hour' else interval '1 minute' end`;
const KEY = 'gen_random_uuid()';
const EVENT = { event_source: `'s'`, event_id: `(${ID})::text` };
const month = today.slice(0, 7).replace('-', '');

/** A UUIDv7 of an instant. */
const idOf = (at: string): string =>
  `(lpad(to_hex((extract(epoch from ${at}) * 1000)::bigint), 12, '0') || '7' || left(md5(n::text), 3)
    || '8' || right(md5(n::text), 15))::uuid`;
/** The instant of ten calls each: those of the batch are old. */
const CALLED = `at - case when ${IS_BATCH} then interval '8 days' else interval '1 minute' end
  + (n / 10) * interval '1 millisecond'`;

const REQUEST = { tenant_id: TENANT, request_id: ID, created_at: CREATED };
const IDEMPOTENCY = {
  tenant_id: TENANT,
  route: `'mappings-create'`,
  key: `(${ID})::text`,
  fingerprint: `'\\x00'`,
  status: '201',
  created_at: CREATED,
  expires_at: EXPIRES,
};
const OUTBOX = {
  id: idOf(CALLED),
  tenant_id: `case when n % 2 = 0 then 'globex' else ${TENANT} end`,
  events: `'[{"data": {"reservation_id": "x"}}]'`,
  created_at: CALLED,
};

const RECORDS = {
  table: 'storage_records',
  partition: `storage_records_d${today.replaceAll('-', '')}`,
  fillfactor: 100,
};
const RECORD = {
  tenant_id: TENANT,
  id: ID,
  partition_day: 'current_date',
  source_data: `decode(repeat('00', 300), 'hex')`,
  mapped_data: `'{"taxonomy": []}'::jsonb`,
  model_version: `'v1'`,
  detector: `'d'`,
  source_id: SOURCE,
  encryption_key_id: KEY,
  created_at: CREATED,
  expires_at: EXPIRES,
};

/** The tables that tests fill, by name. */
export const FILLED = {
  storage_records: { database: 'core', ...RECORDS, columns: RECORD },
  archived_records: { database: 'core', ...RECORDS, columns: { ...RECORD, archived_at: 'at' } },
  /** Half of them are past ninety days and an hour after their day began; the batch's stay longer. */
  half_past_records: {
    database: 'core',
    ...RECORDS,
    columns: {
      ...RECORD,
      archived_at: 'at',
      expires_at: `current_date + case when ${IS_BATCH} then interval '95 days' when n % 2 = 0 then interval '90 days 12 hours'
        else interval '89 days' end`,
    },
  },
  blobs: {
    database: 'core',
    table: 'ops.blobs',
    fillfactor: 50,
    columns: {
      tenant_id: TENANT,
      container_name: `'mapper-outputs'`,
      blob_name: `'mappings/' || ${TENANT} || '/2026/01/01/' || ${ID} || '.json'`,
      retention_class: `'mapping_results'`,
      access_tier: `'Hot'`,
      sha256: `'\\x00'`,
      bytes: '1',
      created_at: CREATED,
      tier_changed_at: CREATED,
      next_check_at: EXPIRES,
      delete_after: EXPIRES,
    },
  },
  /** Deleted ones, the batch's that are to be deleted, and one that is open. */
  tenant_exports: {
    database: 'core',
    table: 'ops.tenant_exports',
    columns: {
      tenant_id: TENANT,
      export_id: ID,
      status: `case when n = rows then 'waiting' when ${IS_BATCH} then 'completed' else 'deleted' end`,
      requested_by: `'key:k'`,
      created_at: CREATED,
      worked_at: CREATED,
      delete_after: EXPIRES,
    },
  },
  mapper_requests: {
    database: 'core',
    table: 'mapper_requests',
    columns: {
      ...REQUEST,
      request_id: SOURCE,
      detector: `'d'`,
      source_data: `'\\x00'`,
      encryption_key_id: KEY,
      model_version: `'v1'`,
      expires_at: EXPIRES,
    },
  },
  mapper_responses: {
    database: 'core',
    table: 'mapper_responses',
    columns: {
      ...REQUEST,
      request_id: SOURCE,
      record_id: ID,
      taxonomy: `'[]'`,
      scores: `'{}'`,
      confidence: '1',
      processing_time_ms: '1',
      model_used: `'m'`,
      fingerprint: `'\\x00'`,
    },
  },
  orchestration_requests: {
    database: 'core',
    table: 'orchestration_requests',
    columns: {
      ...REQUEST,
      content: `'\\x00'`,
      content_mac: `'\\x00'`,
      encryption_key_id: KEY,
      content_type: `'text'`,
      policy_bundle: `'p'`,
      routing_plan_id: KEY,
      coverage_rule: `'{}'`,
      environment: `'prod'`,
      expires_at: EXPIRES,
    },
  },
  orchestration_responses: {
    database: 'core',
    table: 'orchestration_responses',
    columns: {
      ...REQUEST,
      total_processing_time_ms: '1',
      detectors_attempted: '1',
      detectors_succeeded: '1',
      coverage_achieved: '1',
      coverage_method: `'required_set'`,
      coverage_threshold: '1',
      fingerprint: `'\\x00'`,
    },
  },
  detector_results: {
    database: 'core',
    table: 'detector_results',
    columns: { ...REQUEST, detector: `'d'`, attempt: '1', status: `'success'`, processing_time_ms: '1' },
  },
  /** Only the batch's failed. */
  failed_responses: {
    database: 'core',
    table: 'orchestration_responses',
    columns: {
      ...REQUEST,
      total_processing_time_ms: '1',
      detectors_attempted: '1',
      detectors_succeeded: '1',
      coverage_achieved: '1',
      coverage_method: `'required_set'`,
      coverage_threshold: '1',
      fallback_used: IS_BATCH,
      fingerprint: `'\\x00'`,
    },
  },
  failed_results: {
    database: 'core',
    table: 'detector_results',
    columns: {
      ...REQUEST,
      detector: `'d'`,
      attempt: '1',
      status: `case when ${IS_BATCH} then 'timeout' else 'success' end`,
      processing_time_ms: '1',
    },
  },
  analysis_requests: {
    database: 'core',
    table: 'analysis_requests',
    columns: { ...REQUEST, period: `'{}'`, metrics: `'{}'`, expires_at: EXPIRES },
  },
  analysis_responses: {
    database: 'core',
    table: 'analysis_responses',
    columns: {
      ...REQUEST,
      explanation: `'e'`,
      confidence: '1',
      processing_time_ms: '1',
      model_used: `'m'`,
      fingerprint: `'\\x00'`,
    },
  },
  analysis_metrics: {
    database: 'core',
    table: 'analysis_metrics',
    columns: {
      tenant_id: TENANT,
      id: ID,
      metric_name: `'m' || n`,
      metric_value: '1',
      time_period: CREATED,
      created_at: CREATED,
      expires_at: EXPIRES,
    },
  },
  core_outbox: { database: 'core', table: 'ops.outbox', columns: OUTBOX },
  billing_outbox: { database: 'billing', table: 'ops.outbox', columns: OUTBOX },
  analytics_outbox: { database: 'analytics', table: 'ops.outbox', columns: OUTBOX },
  core_idempotency: { database: 'core', table: 'ops.idempotency', columns: IDEMPOTENCY },
  billing_idempotency: { database: 'billing', table: 'ops.idempotency', columns: IDEMPOTENCY },
  analytics_idempotency: { database: 'analytics', table: 'ops.idempotency', columns: IDEMPOTENCY },
  retention_runs: {
    database: 'core',
    table: 'retention_runs',
    columns: {
      run_id: ID,
      job: `'job-' || n % 10`,
      as_of: CALLED,
      started_at: `at - interval '20 days' + n * interval '1 second'`,
      status: `'completed'`,
      // The batch's rows did nothing; the others are kept, and older than them.
      examined: `case when ${IS_BATCH} then 0 else 1 end`,
    },
  },
  quarantine: {
    database: 'core',
    table: 'ops.quarantine',
    columns: {
      id: ID,
      queue: `'audit-events'`,
      identity: `decode(md5(n::text), 'hex')`,
      reason: `'r'`,
      body: `'\\x00'`,
    },
  },
  usage_reservations: {
    database: 'billing',
    table: 'ops.usage_reservations',
    fillfactor: 18,
    columns: {
      tenant_id: TENANT,
      reservation_id: ID,
      usage_type: `'api_calls'`,
      amount: '1',
      created_at: CALLED,
    },
  },
  free_tier_usage: {
    database: 'billing',
    table: 'free_tier_usage',
    columns: {
      tenant_id: `case when n > rows - 2 * batch then ${TENANT} else 'tenant-' || n end`,
      usage_type: `case when n = rows then 'api_calls' else 'type-' || n end`,
      usage_limit: '1000',
      anchor_date: 'current_date',
      last_reset_at: `at - interval '1 month'`,
      next_reset_at: `at + case when ${IS_BATCH} or n <= rows - 2 * batch then interval '1 month' else interval '-1 day' end`,
    },
  },
  free_tier_periods: {
    database: 'billing',
    table: 'ops.free_tier_periods',
    columns: {
      tenant_id: `case when n = rows then 'globex' else 'tenant-' || n end`,
      user_id: `''`,
      usage_type: `'api_calls'`,
      reset_period: `'monthly'`,
      period_start: `at - interval '2 months'`,
      period_end: `at - interval '1 month'`,
      used: '1',
      usage_limit: '1000',
    },
  },
  /** The batch's ended more than 30 days ago. */
  user_sessions: {
    database: 'core',
    table: 'user_sessions',
    columns: {
      tenant_id: TENANT,
      session_id: `'s' || n`,
      user_id: KEY,
      token_hash: `decode(md5(n::text), 'hex')`,
      idle_expires_at: 'at',
      expires_at: `at + case when ${IS_BATCH} then interval '-31 days' else interval '1 hour' end`,
    },
  },
  user_tokens: {
    database: 'core',
    table: 'ops.user_tokens',
    fillfactor: 15,
    columns: {
      token_hash: `decode(md5(n::text), 'hex')`,
      purpose: `'password_reset'`,
      user_id: KEY,
      expires_at: `at + case when ${IS_BATCH} then interval '-1 minute' else interval '1 hour' end`,
    },
  },
  /** The batch's are due, and old; the others wait longer. */
  webhook_deliveries: {
    database: 'core',
    table: 'ops.webhook_deliveries',
    columns: {
      tenant_id: TENANT,
      delivery_id: ID,
      endpoint_id: KEY,
      event_id: `(${ID})::text`,
      event_type: `'record.archived'`,
      payload: `repeat('x', 200)`,
      next_attempt_at: `at + case when ${IS_BATCH} then interval '-1 minute' else interval '1 day' end`,
      created_at: `at - case when ${IS_BATCH} then interval '31 days' else interval '1 day' end`,
    },
  },
  /** The batch's are due, and the oldest; the others wait longer. */
  stripe_events: {
    database: 'billing',
    table: 'stripe_events',
    columns: {
      event_id: `'evt_' || n`,
      type: `'price.updated'`,
      created: 'at',
      payload: `'{}'`,
      next_attempt_at: `at + case when ${IS_BATCH} then interval '-1 minute' else interval '1 day' end`,
      received_at: `at - case when ${IS_BATCH} then interval '91 days' else interval '1 day' end`,
    },
  },
  /** Only the batch's are open. */
  billing_invoices: {
    database: 'billing',
    table: 'billing_invoices',
    columns: {
      tenant_id: TENANT,
      invoice_id: ID,
      status: `case when ${IS_BATCH} then 'open' else 'paid' end`,
      currency: `'USD'`,
      subtotal: '1',
      total: '1',
      amount_due: '1',
      amount_paid: '0',
      amount_remaining: '1',
      stripe_invoice_id: `'in_' || n`,
      synced_at: 'at',
      created_at: 'at',
    },
  },
  /** Only the batch's have use that no window has. */
  metered_periods: {
    database: 'billing',
    table: 'ops.free_tier_periods',
    columns: {
      tenant_id: `'metered-' || n`,
      user_id: `''`,
      usage_type: `'type-' || n`,
      reset_period: `'monthly'`,
      mode: `'metered'`,
      plan_id: `'metered'`,
      period_start: `at - interval '2 months'`,
      period_end: `at - interval '10 days'`,
      used: `case when ${IS_BATCH} then 105 else 10 end`,
      usage_limit: '100',
    },
  },
  meter_windows: {
    database: 'billing',
    table: 'ops.meter_windows',
    columns: {
      tenant_id: `'metered-' || n`,
      window_id: KEY,
      usage_type: `'type-' || n`,
      period_start: `at - interval '10 days'`,
      period_end: `at + interval '20 days'`,
      amount: '1',
      status: `case when ${IS_BATCH} then 'pending' else 'sent' end`,
      event_name: `'calls'`,
      created_at: `at - interval '1 day'`,
    },
  },
  usage_records: {
    database: 'billing',
    table: 'usage_records',
    partition: `usage_records_m${month}`,
    columns: {
      tenant_id: TENANT,
      id: ID,
      ...EVENT,
      usage_type: `'api_calls'`,
      usage_amount: '1',
      usage_unit: `'count'`,
      occurred_at: 'at',
      billing_period_start: 'at',
      billing_period_end: 'at',
    },
  },
  consumed_events: {
    database: 'analytics',
    table: 'ops.consumed_events',
    fillfactor: 20,
    columns: {
      tenant_id: TENANT,
      ...EVENT,
      consumed_at: `at - case when ${IS_BATCH} then interval '91 days' else interval '1 day' end`,
    },
  },
  usage_metrics: {
    database: 'analytics',
    table: 'usage_metrics',
    columns: {
      tenant_id: TENANT,
      metric_name: `'type-' || n`,
      granularity: `'hour'`,
      period_start: `date_trunc('hour', at, 'UTC')`,
      metric_value: '1',
      event_count: '1',
    },
  },
  /** Only the batch's are active; the tenants are as many as the rows. */
  alert_configs: {
    database: 'analytics',
    table: 'alert_configs',
    columns: {
      tenant_id: `'tenant-' || lpad(n::text, 6, '0')`,
      config_id: ID,
      name: `'n' || n`,
      condition: `'{"type": "failure_count", "operator": "gte", "threshold": 1, "window_minutes": 60}'`,
      severity: `'low'`,
      cooldown_minutes: '0',
      is_active: IS_BATCH,
    },
  },
  /** Only the batch's are open, and their configurations are gone. */
  alert_history: {
    database: 'analytics',
    table: 'alert_history',
    columns: {
      tenant_id: TENANT,
      alert_id: ID,
      config_id: SOURCE,
      config_name: `'n'`,
      condition: `'{"type": "failure_count", "threshold": 1}'`,
      severity: `'low'`,
      status: `case when ${IS_BATCH} then 'triggered' else 'resolved' end`,
      measured_value: '1',
      triggered_at: CREATED,
      resolved_at: `case when not ${IS_BATCH} then at end`,
      resolution: `case when not ${IS_BATCH} then 'recovered' end`,
    },
  },
  /** A minute each, the newest last; the batch's are unhealthy. */
  system_health: {
    database: 'analytics',
    table: 'system_health',
    columns: {
      id: ID,
      service_name: `'core'`,
      check_type: `'ping'`,
      status: `case when ${IS_BATCH} then 'unhealthy' else 'healthy' end`,
      score: '1',
      latency_ms: '1',
      checked_at: `date_trunc('minute', at) - (rows - n) * interval '1 minute'`,
      status_since: 'at',
    },
  },
  health_periods: {
    database: 'analytics',
    table: 'ops.health_periods',
    fillfactor: 10,
    columns: {
      service_name: `'core'`,
      granularity: `'hour'`,
      period_start: `date_trunc('hour', at) - (rows - n) * interval '1 hour'`,
      checks: '60',
      degraded: '0',
      unhealthy: '1',
    },
  },
  /** Only the batch's name somebody. */
  trail: {
    database: 'core',
    table: 'audit_logs',
    partition: `audit_logs_m${month}`,
    columns: {
      tenant_id: TENANT,
      id: ID,
      ...EVENT,
      action: `'a'`,
      resource_type: `'r'`,
      canonical: `convert_to(jsonb_build_object('tenant_id', ${TENANT}, 'id', ${ID}, 'actor', 'user:' || ids[1], 'user_id', null,
        'resource_id', null, 'details', '{}'::jsonb, 'user_agent', null)::text, 'UTF8')`,
      leaf_hash: `'\\x00'`,
      created_at: 'at',
    },
  },
  audit_logs: {
    database: 'core',
    table: 'audit_logs',
    partition: `audit_logs_m${month}`,
    columns: {
      tenant_id: TENANT,
      id: ID,
      ...EVENT,
      action: `'a'`,
      resource_type: `'r'`,
      canonical: `'\\x00'`,
      leaf_hash: `'\\x00'`,
      created_at: 'at',
    },
  },
} as const satisfies Readonly<Record<string, Filled>>;
