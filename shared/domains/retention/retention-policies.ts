import { z } from 'zod';
import { Problem, type Fault } from '../../platform/call/problem.ts';
import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import { readRetentionSettings, type RetentionSettings } from '../tenancy/retention-settings.ts';
import { DATA_TYPES } from './expiry.ts';
import { isPlainName, minimumOf, type FrameworkMinimum } from './framework-minimums.ts';
import { flag, isActive, optionalText } from '../../platform/resources/field-schemas.ts';
import { declareResource } from '../../platform/resources/resource.ts';

/** The table's own limit: ten years. */
const RETENTION_DAYS_MAX = 3650;

const retentionPolicy = z.strictObject({
  // Policies for `audit_logs` from before they were refused can still be read.
  data_type: z
    .enum(DATA_TYPES)
    .describe(
      'A policy for `audit_logs` is refused: audit entries are append-only and kept for seven years or longer.',
    ),
  retention_days: z.number().int().min(1).max(RETENTION_DAYS_MAX),
  auto_delete: z.boolean().default(true).describe('False: kept until a manual deletion.'),
  compliance_framework: optionalText(50).describe(
    'The days cannot be below this framework’s minimum, nor below that of the frameworks in the tenant’s settings.',
  ),
  description: optionalText(2000),
  is_active: isActive.describe('One policy for each data type is active.'),
});

/**
 * A policy's faults: for example, fewer days than the minimum of its own framework or of those in the tenant's settings. Until the
 * transaction ends, the settings cannot change.
 * @throws Problem 409 if the settings cannot be read: then the tenant's frameworks are unknown.
 */
async function checkRetentionPolicy(
  policy: z.output<typeof retentionPolicy>,
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
): Promise<Fault[]> {
  await lockRetentionRules(transaction, tenantId);
  const settings = await readRetentionSettings(transaction, tenantId);
  if (settings === undefined) {
    const detail =
      'The tenant’s settings cannot be read, so its frameworks are unknown. Replace the settings first.';
    throw new Problem('CONFLICT', { detail });
  }
  return [
    // The audit trail is append-only: nothing deletes it.
    ...(policy.data_type === 'audit_logs'
      ? [{ pointer: '/data_type', detail: 'has no policy: nothing deletes it' }]
      : []),
    ...(policy.compliance_framework === null
      ? []
      : faultsOfName(policy.compliance_framework, '/compliance_framework')),
    ...faultsOfPolicy(policy, settings.frameworks),
  ];
}

/** A policy's faults under its own framework and others. */
export function faultsOfPolicy(
  policy: Pick<z.output<typeof retentionPolicy>, 'retention_days' | 'compliance_framework'>,
  frameworks: readonly string[],
): Fault[] {
  const own = policy.compliance_framework === null ? [] : [policy.compliance_framework];
  return faultsUnder(minimumOf([...own, ...frameworks]), policy.retention_days, '/retention_days');
}

/**
 * The faults of a tenant's settings: their own retention, or an active policy, is below the minimum of their frameworks. Until the
 * transaction ends, the policies cannot change.
 */
export async function checkRetentionSettings(
  settings: RetentionSettings,
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
): Promise<Fault[]> {
  const names = settings.frameworks.flatMap((framework, n) =>
    faultsOfName(framework, `/config_data/frameworks/${n}`),
  );
  if (names.length > 0) return names;
  await lockRetentionRules(transaction, tenantId);
  const minimum = minimumOf(settings.frameworks);
  if (minimum === undefined) return [];
  const own = settings.retention_days ?? minimum.days;
  const policies = await transaction.query<{ data_type: string; retention_days: number }>(
    `select data_type, retention_days from data_retention_policies
      where tenant_id = $1 and is_active and retention_days < $2 order by data_type`,
    [tenantId, minimum.days],
  );
  const place = `/config_data/frameworks/${settings.frameworks.indexOf(minimum.framework)}`;
  return [
    ...faultsUnder(minimum, own, '/config_data/retention_days'),
    ...policies.map(({ data_type: dataType, retention_days: days }) => ({
      pointer: place,
      detail: `requires at least ${minimum.days} days; the active policy for ${dataType} has ${days}`,
    })),
  ];
}

/** Policies and settings are checked against each other, so a tenant's changes of both run one after the other. */
async function lockRetentionRules(
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
): Promise<void> {
  await transaction.query(`select pg_advisory_xact_lock(hashtextextended('retention-rules:' || $1, 0))`, [
    tenantId,
  ]);
}

function faultsOfName(framework: string, pointer: string): Fault[] {
  if (isPlainName(framework)) return [];
  return [{ pointer, detail: 'must be in Latin letters, so that a framework is recognised by its name' }];
}

function faultsUnder(minimum: FrameworkMinimum | undefined, days: number, pointer: string): Fault[] {
  if (minimum === undefined || days >= minimum.days) return [];
  return [{ pointer, detail: `must be at least ${minimum.days} days under ${minimum.framework}` }];
}

/** How long a tenant keeps each kind of data. Policies are deactivated, not deleted. */
export const dataRetentionPolicies = declareResource({
  name: 'data-retention-policies',
  one: 'data retention policy',
  description:
    'How long each kind of data is kept, within what the tenant’s frameworks ask for. A change acts on what is recorded from then on.',
  table: 'data_retention_policies',
  idColumn: 'policy_id',
  scope: 'tenant',
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  permissions: { read: 'retention:read', write: 'retention:write' },
  body: retentionPolicy,
  filters: { data_type: z.enum(DATA_TYPES), is_active: flag },
  conflicts: {
    data_retention_policies_one_active:
      'The data type already has an active policy: replace or deactivate that one.',
  },
  check: (policy, { call, transaction }) => checkRetentionPolicy(policy, transaction, call.tenant.tenantId),
  forget: ({ services, tenant }) => services.tenants.forget(tenant.tenantId),
  essential: true,
  sample: ({ unique }) => ({ data_type: 'analyses', retention_days: 400, description: unique }),
});
