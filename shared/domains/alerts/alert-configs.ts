import { z } from 'zod';
import { Problem } from '../../platform/call/problem.ts';
import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import {
  flag,
  isActive,
  nameText,
  optionalText,
  SEVERITIES,
} from '../../platform/resources/field-schemas.ts';
import { declareResource } from '../../platform/resources/resource.ts';
import { alertCondition } from './conditions.ts';

/** The evaluator reads each of them every minute. */
const CONFIGS_MAX = 100;

/** @throws Problem 409 if the tenant then has too many. */
async function refuseTooMany(transaction: Pick<TenantTransaction, 'query'>, tenantId: string): Promise<void> {
  // One at a time: two that are made at once would each not count the other.
  await transaction.query(`select pg_advisory_xact_lock(hashtextextended('alert-configs:' || $1, 0))`, [
    tenantId,
  ]);
  const rows = await transaction.query(
    `select from alert_configs where tenant_id = $1 limit ${CONFIGS_MAX + 1}`,
    [tenantId],
  );
  if (rows.length > CONFIGS_MAX)
    throw new Problem('CONFLICT', { detail: `A tenant has at most ${CONFIGS_MAX} alert configurations.` });
}

/** What a tenant wants to be told of. The timer `alerts-evaluate` judges the active ones. */
export const alertConfigs = declareResource({
  name: 'alert-configs',
  one: 'alert configuration',
  description:
    'What a tenant wants to be told of: a condition on its usage, coverage, confidence or failures, judged every minute. When it holds, an alert is raised; after an alert ended, none is raised for `cooldown_minutes`.',
  database: 'analytics',
  table: 'alert_configs',
  idColumn: 'config_id',
  scope: 'tenant',
  verbs: ['create', 'list', 'read', 'replace', 'delete'],
  permissions: { read: 'alerts:read', write: 'alerts:manage' },
  body: z.strictObject({
    name: nameText,
    description: optionalText(1_000),
    condition: alertCondition,
    severity: z.enum(SEVERITIES),
    cooldown_minutes: z
      .number()
      .int()
      .min(0)
      .max(7 * 24 * 60)
      .default(60)
      .describe('After an alert ended, none is raised for so long.'),
    is_active: isActive.describe('False: it is not judged, and its open alert is resolved.'),
  }),
  filters: { is_active: flag, severity: z.enum(SEVERITIES) },
  conflicts: {
    alert_configs_tenant_id_name_key: 'Another alert configuration has this name.',
  },
  onWrite: async ({ before }, { call, transaction }) => {
    if (before === undefined) await refuseTooMany(transaction, call.tenant.tenantId);
  },
  sample: ({ unique }) => ({
    name: unique,
    condition: {
      type: 'coverage_mean',
      operator: 'lt',
      threshold: 0.8,
      window_minutes: 60,
      min_samples: 10,
    },
    severity: 'high',
    cooldown_minutes: 30,
  }),
});
