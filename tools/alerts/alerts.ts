import type { Alert } from './alert.ts';

/**
 * After how many seconds without a completed run a job is late: two of its periods and its longest run, and a day and three
 * hours for a daily one. `tests/alerts/conditions.test.ts` compares this list with the timers.
 */
const JOB_LATE_AFTER_S = {
  'alerts-evaluate': 10 * 60,
  'blobs-tier': 27 * 3_600,
  'blobs-verify': 3 * 3_600,
  'data-keys-rewrap': 45 * 60,
  'dunning-advance': 45 * 60,
  'free-tier-reset': 15 * 60,
  'health-measure': 3 * 3_600,
  'health-probe': 10 * 60,
  'leftovers-sweep': 3 * 3_600,
  'outbox-relay': 10 * 60,
  'partitions-make': 27 * 3_600,
  'records-expire': 27 * 3_600,
  'sessions-expire': 27 * 3_600,
  'stripe-events-expire': 27 * 3_600,
  'stripe-reconcile': 10 * 60,
  'telemetry-gauges': 10 * 60,
  'tenant-exports': 10 * 60,
  'tenant-erasures': 20 * 60,
  'usage-report': 20 * 60,
  'webhooks-retry': 10 * 60,
};

/**
 * Every alert on the app's metrics. `bicep/alerts.json` has them with their queries (`npm run alerts:write`), and each has a
 * runbook. The promises in docs/reliability.md name the alert that shows when they break.
 */
export const ALERTS: readonly Alert[] = [
  {
    name: 'HighErrorRate',
    description: 'More than 1 % of all requests in 5 minutes were answered with a 5xx.',
    severity: 1,
    windowMinutes: 5,
    condition: {
      kind: 'share',
      metric: 'http_server_requests_total',
      where: { status_class: ['5xx'] },
      above: 0.01,
      atLeast: 5,
    },
    runbook: 'high-error-rate',
  },
  {
    name: 'HighLatency',
    description:
      'The 95th percentile of all requests in 5 minutes is above 2 s: more than 5 % of them took longer.',
    severity: 2,
    windowMinutes: 5,
    condition: {
      kind: 'share',
      metric: 'http_server_requests_by_speed_total',
      where: { speed: ['slow'] },
      above: 0.05,
      atLeast: 5,
    },
    runbook: 'high-latency',
  },
  {
    name: 'DatabaseUnavailable',
    description:
      'The core or the billing database has not answered for 5 minutes. Requests that need it get a 503.',
    severity: 0,
    windowMinutes: 5,
    condition: {
      kind: 'level',
      metric: 'dependency_up',
      where: { dependency: ['core', 'billing'] },
      beyond: { below: 1 },
    },
    runbook: 'database-unavailable',
  },
  {
    name: 'DependencyUnavailable',
    description:
      'The analytics database, Redis, Service Bus, the blob storage or the key vault has not answered for 15 minutes. Requests work; what they cause waits.',
    severity: 1,
    windowMinutes: 15,
    condition: {
      kind: 'level',
      metric: 'dependency_up',
      where: { dependency: ['analytics', 'redis', 'service_bus', 'blob', 'key_vault'] },
      beyond: { below: 1 },
    },
    runbook: 'dependency-unavailable',
  },
  {
    name: 'ConnectionsExhausted',
    description: 'For 5 minutes there were always callers that waited for a database connection.',
    severity: 2,
    windowMinutes: 5,
    condition: {
      kind: 'level',
      metric: 'database_connection_pool_size',
      where: { state: ['waiting'] },
      beyond: { above: 0 },
    },
    runbook: 'connections-exhausted',
  },
  {
    name: 'OutboxNotDrained',
    description:
      'The oldest event of an outbox has waited for more than 10 minutes: usage, audit entries and archives are late.',
    severity: 1,
    windowMinutes: 5,
    condition: { kind: 'level', metric: 'outbox_oldest_seconds', where: {}, beyond: { above: 600 } },
    runbook: 'outbox-not-drained',
  },
  {
    name: 'QueueNotConsumed',
    description: 'The oldest message of a queue has waited for more than 15 minutes.',
    severity: 1,
    windowMinutes: 5,
    condition: { kind: 'level', metric: 'queue_oldest_seconds', where: {}, beyond: { above: 900 } },
    runbook: 'queue-not-consumed',
  },
  {
    name: 'DeadLetters',
    description: 'A queue has messages that were delivered ten times without success.',
    severity: 2,
    windowMinutes: 15,
    condition: { kind: 'level', metric: 'queue_dead_letters', where: {}, beyond: { above: 0 } },
    runbook: 'dead-letters',
  },
  {
    name: 'QuarantineOpen',
    description: 'Messages that cannot be written wait in quarantine for a decision.',
    severity: 3,
    windowMinutes: 60,
    condition: { kind: 'level', metric: 'quarantine_open', where: {}, beyond: { above: 0 } },
    runbook: 'quarantine-open',
  },
  {
    name: 'JobLate',
    description: 'A job has not completed for longer than two of its periods.',
    severity: 1,
    windowMinutes: 10,
    condition: { kind: 'limits', metric: 'job_lag_seconds', by: 'job', above: JOB_LATE_AFTER_S },
    runbook: 'job-late',
  },
  {
    name: 'JobFailing',
    description: 'Three runs of jobs or more have failed within an hour.',
    severity: 2,
    windowMinutes: 60,
    condition: { kind: 'increase', metric: 'job_runs_total', where: { status: ['failed'] }, above: 2 },
    runbook: 'job-failing',
  },
  {
    name: 'RecordsOverdue',
    description:
      'Records that should have been deleted more than a day ago, and are under no hold, still exist.',
    severity: 1,
    windowMinutes: 60,
    condition: { kind: 'level', metric: 'records_overdue', where: {}, beyond: { above: 0 } },
    runbook: 'records-overdue',
  },
  {
    name: 'EvidenceLost',
    description: 'A blob is missing or has other bytes than its record says, and could not be written again.',
    severity: 0,
    windowMinutes: 5,
    condition: {
      kind: 'increase',
      metric: 'blobs_verified_total',
      where: { outcome: ['missing', 'changed'] },
      above: 0,
    },
    runbook: 'evidence-lost',
  },
  {
    name: 'EvidenceRestored',
    description:
      'Blobs were missing and were written again from their records: the storage has lost something.',
    severity: 2,
    windowMinutes: 5,
    condition: {
      kind: 'increase',
      metric: 'blobs_verified_total',
      where: { outcome: ['restored'] },
      above: 0,
    },
    runbook: 'evidence-lost',
  },
  {
    name: 'BlobOperationsFailing',
    description: 'More than 5 % of the operations on blobs in 15 minutes failed.',
    severity: 2,
    windowMinutes: 15,
    condition: {
      kind: 'share',
      metric: 'blob_storage_operations_total',
      where: { outcome: ['failure'] },
      above: 0.05,
      atLeast: 5,
    },
    runbook: 'dependency-unavailable',
  },
  {
    name: 'TenantIsolationRefused',
    description: 'The database refused a row of another tenant: a bug or an attack.',
    severity: 0,
    windowMinutes: 5,
    condition: { kind: 'increase', metric: 'tenant_isolation_refusals_total', where: {}, above: 0 },
    runbook: 'tenant-isolation-refused',
  },
  {
    name: 'SignInFailures',
    description:
      'More than 200 requests in 15 minutes had an unknown, malformed or revoked credential, or a wrong password.',
    severity: 2,
    windowMinutes: 15,
    condition: {
      kind: 'increase',
      metric: 'sign_in_failures_total',
      where: {
        reason: ['malformed', 'unknown', 'revoked', 'password', 'unknown_person', 'locked', 'totp'],
      },
      above: 200,
    },
    runbook: 'sign-in-failures',
  },
  {
    name: 'AccessDenials',
    description:
      'More than 20 requests in 15 minutes asked for another tenant, or for more than their key may.',
    severity: 2,
    windowMinutes: 15,
    condition: { kind: 'increase', metric: 'access_denials_total', where: {}, above: 20 },
    runbook: 'access-denials',
  },
  {
    name: 'StripeEventsWaiting',
    description: 'For 30 minutes there were always more than 20 events of Stripe that are not processed.',
    severity: 2,
    windowMinutes: 30,
    condition: { kind: 'level', metric: 'stripe_events_waiting', where: {}, beyond: { above: 20 } },
    runbook: 'stripe-behind',
  },
  {
    name: 'StripeMismatches',
    description: 'Stripe and this service differ, and it could not be mended automatically.',
    severity: 2,
    windowMinutes: 60,
    condition: { kind: 'level', metric: 'stripe_mismatches_open', where: {}, beyond: { above: 0 } },
    runbook: 'stripe-behind',
  },
  {
    name: 'MetricsMissing',
    description:
      'The job that measures queues and databases has sent nothing for 15 minutes: no timer runs, or telemetry does not arrive. Most other alerts are blind.',
    severity: 1,
    windowMinutes: 15,
    condition: { kind: 'missing', metric: 'outbox_rows' },
    runbook: 'metrics-missing',
  },
];
