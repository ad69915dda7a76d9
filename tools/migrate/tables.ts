import type { PerDatabase } from './databases.ts';

/** Whose rows a table holds: a tenant's, behind row security, or the platform's. */
export type TableKind = 'tenant' | 'platform';

/** The tables that each database has so far in `public`. The catalogue test holds the databases to this list. */
export const TABLES: PerDatabase<Record<string, TableKind>> = {
  core: {
    tenants: 'platform',
    tenant_configs: 'tenant',
    api_keys: 'tenant',
    orchestration_requests: 'tenant',
    orchestration_responses: 'tenant',
    detector_results: 'tenant',
    routing_plans: 'tenant',
    detector_configs: 'tenant',
    mapper_requests: 'tenant',
    mapper_responses: 'tenant',
    storage_records: 'tenant',
    model_versions: 'platform',
    taxonomy_labels: 'platform',
    compliance_mappings: 'platform',
    analysis_requests: 'tenant',
    analysis_responses: 'tenant',
    analysis_metrics: 'tenant',
    analysis_templates: 'tenant',
    audit_logs: 'tenant',
    data_retention_policies: 'tenant',
    legal_holds: 'tenant',
    retention_runs: 'platform',
  },
  billing: {
    billing_plans: 'platform',
    user_subscriptions: 'tenant',
    usage_records: 'tenant',
    free_tier_usage: 'tenant',
  },
  analytics: {
    usage_metrics: 'tenant',
  },
};
