import type { PerDatabase } from './databases.ts';

/** A `tenant` table has tenants' rows and row security. A `platform` table has the platform's own rows. */
export type TableKind = 'tenant' | 'platform';

/**
 * The tables in `public` without a declared resource. The catalogue test checks that each database has exactly these and the
 * tables of its resources.
 */
export const TABLES: PerDatabase<Record<string, TableKind>> = {
  core: {
    tenants: 'platform',
    tenant_configs: 'tenant',
    api_keys: 'tenant',
    users: 'platform',
    user_roles: 'tenant',
    user_role_assignments: 'tenant',
    user_sessions: 'tenant',
    orchestration_requests: 'tenant',
    orchestration_responses: 'tenant',
    detector_results: 'tenant',
    mapper_requests: 'tenant',
    mapper_responses: 'tenant',
    storage_records: 'tenant',
    analysis_requests: 'tenant',
    analysis_responses: 'tenant',
    analysis_metrics: 'tenant',
    audit_logs: 'tenant',
    retention_runs: 'platform',
  },
  billing: {
    user_subscriptions: 'tenant',
    usage_records: 'tenant',
    free_tier_usage: 'tenant',
    billing_invoices: 'tenant',
    billing_payments: 'tenant',
    payment_methods: 'tenant',
    promotional_code_usage: 'tenant',
    stripe_events: 'platform',
  },
  analytics: { system_health: 'platform' },
};
