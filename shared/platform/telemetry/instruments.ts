/**
 * An attribute's values. A list is closed. `declared`: the composition root gives the list when the app starts, see `declareValues`.
 * Every other value is counted as {@link OTHER}, so no id and no content becomes an attribute, and the number of series is bounded.
 */
export type AttributeValues = readonly string[] | 'declared';

/** The value that stands for every value outside an attribute's list. */
export const OTHER = 'other';

/** One instrument. Its name, unit and attributes are the contract with alerts and dashboards. */
export interface Instrument {
  /** A gauge is read when it is asked for. `stored`: a timer measures it for all instances, see `telemetry-gauges`. */
  readonly kind: 'counter' | 'histogram' | 'gauge';
  /** UCUM. */
  readonly unit: string;
  readonly description: string;
  readonly attributes: Readonly<Record<string, AttributeValues>>;
  /** The upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
  /** True for a gauge that the job `telemetry-gauges` measures in the databases and queues, once a minute for the whole app. */
  readonly measuredByJob?: boolean;
}

const DATABASES = ['core', 'billing', 'analytics'] as const;
const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const;
const OUTCOMES = ['success', 'failure'] as const;

/** Up to 2 s, where the alert on latency is, the bounds are close. Above it only the order of magnitude matters. */
const REQUEST_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000] as const;
/** From what a second's delay is to what a day's outage leaves. */
const AGE_SECONDS = [0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400] as const;

/**
 * Every metric of the app, and the only ones. `docs/telemetry.md` has the same table, and `tests/telemetry-docs.test.ts` compares
 * them.
 */
export const INSTRUMENTS = {
  http_server_requests_total: {
    kind: 'counter',
    unit: '{request}',
    description: 'Requests that were answered. `code` is the problem’s code, or `none`.',
    attributes: { route: 'declared', status_class: STATUS_CLASSES, code: 'declared' },
  },
  http_server_request_duration_ms: {
    kind: 'histogram',
    unit: 'ms',
    description: 'How long a request took, from the function’s start to its answer.',
    attributes: { route: 'declared', status_class: STATUS_CLASSES },
    buckets: REQUEST_MS,
  },
  http_server_requests_by_speed_total: {
    kind: 'counter',
    unit: '{request}',
    description:
      'Requests that were answered within 2 s (`fast`), and later (`slow`). The 95th percentile is above 2 s when more than 5 % are slow.',
    attributes: { speed: ['fast', 'slow'] },
  },
  mapper_requests_total: {
    kind: 'counter',
    unit: '{request}',
    description: 'Requests to the routes of mappings that were answered.',
    attributes: { route: 'declared', status_class: STATUS_CLASSES },
  },
  mapper_request_duration_ms: {
    kind: 'histogram',
    unit: 'ms',
    description: 'How long a request to a route of mappings took.',
    attributes: { route: 'declared', status_class: STATUS_CLASSES },
    buckets: REQUEST_MS,
  },
  sign_in_failures_total: {
    kind: 'counter',
    unit: '{request}',
    description: 'Requests whose credential was refused, and sign-ins that failed.',
    attributes: {
      reason: [
        'missing',
        'malformed',
        'unknown',
        'revoked',
        'inactive',
        'expired',
        'no_tenant',
        'password',
        'unknown_person',
        'locked',
        'not_verified',
        'totp_missing',
        'totp',
        'no_role',
      ],
    },
  },
  access_denials_total: {
    kind: 'counter',
    unit: '{request}',
    description: 'Requests beyond a key’s permissions, or for another tenant.',
    attributes: { code: ['INSUFFICIENT_RBAC', 'TENANT_MISMATCH'] },
  },
  tenant_isolation_refusals_total: {
    kind: 'counter',
    unit: '{request}',
    description: 'Rows of another tenant that the database refused: a bug or an attack.',
    attributes: {},
  },
  quota_refusals_total: {
    kind: 'counter',
    unit: '{write}',
    description: 'Writes that a spent allowance refused.',
    attributes: { usage_type: ['api_calls', 'storage_gb', 'detector_runs', 'analysis_runs'] },
  },
  rate_limit_refusals_total: {
    kind: 'counter',
    unit: '{request}',
    description: 'Requests that a rate limit refused.',
    attributes: {},
  },
  database_connection_pool_size: {
    kind: 'gauge',
    unit: '{connection}',
    description:
      'Connections of this process, and callers that wait for one (`waiting`). `max` is the limit.',
    attributes: {
      database: DATABASES,
      role: ['app', 'cross_tenant'],
      state: ['used', 'idle', 'waiting', 'max'],
    },
  },
  cache_hit_rate: {
    kind: 'gauge',
    unit: '1',
    description: 'The share of a cache’s look-ups since the process’s start that found a value, from 0 to 1.',
    attributes: { cache: ['redis', 'api_keys', 'sessions', 'tokens', 'tenants', 'data_keys'] },
  },
  cache_lookups_total: {
    kind: 'counter',
    unit: '{lookup}',
    description: 'Look-ups in a cache. The rate of hits over any time is made from these.',
    attributes: {
      cache: ['redis', 'api_keys', 'sessions', 'tokens', 'tenants', 'data_keys'],
      outcome: ['hit', 'miss'],
    },
  },
  redis_breaker_open: {
    kind: 'gauge',
    unit: '1',
    description: '1 while this process’s circuit breaker of Redis is open.',
    attributes: {},
  },
  blob_storage_operations_total: {
    kind: 'counter',
    unit: '{operation}',
    description: 'Operations on blobs. A blob that is absent, or exists already, is a success.',
    attributes: { operation: ['create', 'read', 'describe', 'set_tier', 'delete'], outcome: OUTCOMES },
  },
  blobs_verified_total: {
    kind: 'counter',
    unit: '{blob}',
    description: 'Blobs that blobs-verify compared. `missing` and `changed` could not be mended.',
    attributes: { outcome: ['sound', 'restored', 'missing', 'changed'] },
  },
  publish_failures_total: {
    kind: 'counter',
    unit: '{failure}',
    description: 'Sends to Service Bus that failed. The relay sends their events later.',
    attributes: { by: ['publisher', 'relay'] },
  },
  outbox_rows: {
    kind: 'gauge',
    unit: '{row}',
    description: 'Rows of an outbox, at most 5,000.',
    attributes: { database: DATABASES },
    measuredByJob: true,
  },
  outbox_oldest_seconds: {
    kind: 'gauge',
    unit: 's',
    description: 'The age of an outbox’s oldest row; 0 if it is empty.',
    attributes: { database: DATABASES },
    measuredByJob: true,
  },
  queue_events_total: {
    kind: 'counter',
    unit: '{event}',
    description:
      'Events of a queue by what became of them. `duplicate`: it was there already. `failed`: its batch is delivered again.',
    attributes: { queue: 'declared', outcome: ['written', 'duplicate', 'quarantined', 'failed'] },
  },
  queue_event_age_seconds: {
    kind: 'histogram',
    unit: 's',
    description: 'The age of an event, from its own time, when it was written.',
    attributes: { queue: 'declared' },
    buckets: AGE_SECONDS,
  },
  queue_oldest_seconds: {
    kind: 'gauge',
    unit: 's',
    description: 'The age of a queue’s oldest message, also of one that no consumer takes; 0 if it is empty.',
    attributes: { queue: 'declared' },
    measuredByJob: true,
  },
  queue_dead_letters: {
    kind: 'gauge',
    unit: '{message}',
    description: 'Messages in a queue’s dead-letter queue, at most 50.',
    attributes: { queue: 'declared' },
    measuredByJob: true,
  },
  quarantine_open: {
    kind: 'gauge',
    unit: '{message}',
    description: 'Open messages among the newest 1,000 of the quarantine.',
    attributes: { queue: 'declared' },
    measuredByJob: true,
  },
  job_runs_total: {
    kind: 'counter',
    unit: '{run}',
    description: 'Ended runs of jobs. `skipped`: another run had the lock.',
    attributes: { job: 'declared', status: ['completed', 'partial', 'failed', 'skipped'] },
  },
  job_lag_seconds: {
    kind: 'gauge',
    unit: 's',
    description:
      'The time since a job last completed. If none of its newest 200 runs did, since the first of them.',
    attributes: { job: 'declared' },
    measuredByJob: true,
  },
  records_overdue: {
    kind: 'gauge',
    unit: '{record}',
    description:
      'Records that expired more than 25 hours ago and that nothing keeps: of the first and the last 500 of those that are there.',
    attributes: {},
    measuredByJob: true,
  },
  webhook_attempts_total: {
    kind: 'counter',
    unit: '{attempt}',
    description:
      'Attempts to deliver a webhook, by how they ended. `refused` and what follows it made no request. `not_sent`: a fault of this service.',
    attributes: {
      outcome: [
        'delivered',
        'redirected',
        'client_error',
        'server_error',
        'gone',
        'timeout',
        'unreachable',
        'tls',
        'broken_off',
        'refused',
        'not_sent',
        'endpoint_disabled',
        'endpoint_deleted',
        'tenant_inactive',
      ],
    },
  },
  webhook_endpoints_disabled_total: {
    kind: 'counter',
    unit: '{endpoint}',
    description: 'Webhook endpoints that were switched off because they failed for 24 hours or answered 410.',
    attributes: { reason: ['failing', 'gone'] },
  },
  stripe_mismatches_open: {
    kind: 'gauge',
    unit: '{mismatch}',
    description: 'Open differences between Stripe and this service, at most 1,000.',
    attributes: {},
    measuredByJob: true,
  },
  stripe_events_waiting: {
    kind: 'gauge',
    unit: '{event}',
    description: 'Events of Stripe that are stored and not yet processed, at most 1,000.',
    attributes: {},
    measuredByJob: true,
  },
  data_keys_to_rewrap: {
    kind: 'gauge',
    unit: '{key}',
    description:
      'Data keys that another version of the key-encryption key than the current one wraps, at most 5,000.',
    attributes: {},
    measuredByJob: true,
  },
  dependency_up: {
    kind: 'gauge',
    unit: '1',
    description:
      '1 if the last probe of a dependency found it healthy, 0 if not. Set by every probe of readiness.',
    attributes: {
      dependency: ['core', 'billing', 'analytics', 'redis', 'service_bus', 'blob', 'key_vault'],
    },
  },
} as const satisfies Record<string, Instrument>;

export type InstrumentName = keyof typeof INSTRUMENTS;
/** The names of one kind. */
export type NameOf<Kind extends Instrument['kind']> = {
  [Name in InstrumentName]: (typeof INSTRUMENTS)[Name]['kind'] extends Kind ? Name : never;
}[InstrumentName];
/** An instrument's attributes. Any text is accepted, because what is outside the list is counted as {@link OTHER}. */
export type AttributesOf<Name extends InstrumentName> = {
  readonly [Attribute in keyof (typeof INSTRUMENTS)[Name]['attributes']]: string;
};
