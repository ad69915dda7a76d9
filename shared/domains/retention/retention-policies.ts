import { z } from 'zod';
import type { Fault } from '../../platform/call/problem.ts';
import { DATA_TYPES } from './expiry.ts';
import { flag, isActive, optionalText } from '../../platform/resources/field-schemas.ts';
import { declareResource } from '../../platform/resources/resource.ts';

/** The table's own bound: ten years of days. */
const RETENTION_DAYS_MAX = 3650;

/**
 * The least that evidence is kept under a framework, in days, by the framework's name in capitals without punctuation.
 * A framework that is not here sets no minimum of its own.
 */
const FRAMEWORK_MINIMUM_DAYS: ReadonlyMap<string, number> = new Map([
  // 45 CFR 164.316(b)(2)(i): six years from the day it was made or was last in effect.
  ['HIPAA', 2190],
  // No figure in the criteria; a Type 2 report looks back over a period of up to twelve months.
  ['SOC2', 365],
  // No figure in the standard; certification is followed up by yearly surveillance audits (ISO/IEC 17021-1, 9.6.2).
  ['ISO27001', 365],
  // PCI DSS v4.0.1, requirement 10.5.1: audit log history of at least twelve months.
  ['PCIDSS', 365],
]);

const retentionPolicy = z.strictObject({
  data_type: z.enum(DATA_TYPES),
  retention_days: z.number().int().min(1).max(RETENTION_DAYS_MAX),
  auto_delete: z.boolean().default(true).describe('False: kept until somebody deletes it by hand.'),
  compliance_framework: optionalText(50).describe('A framework’s own minimum cannot be undercut.'),
  description: optionalText(2000),
  is_active: isActive.describe('One policy a data type is active.'),
});

/** What keeps a policy from satisfying the framework that it names. */
export function checkRetentionPolicy(policy: z.output<typeof retentionPolicy>): Fault[] {
  const framework = policy.compliance_framework;
  const name = framework?.toUpperCase().replace(/[^A-Z0-9]/g, '') ?? '';
  const minimum = FRAMEWORK_MINIMUM_DAYS.get(name) ?? 0;
  if (framework === null || policy.retention_days >= minimum) return [];
  return [{ pointer: '/retention_days', detail: `must be at least ${minimum} days under ${framework}` }];
}

/** How long a tenant keeps what. Holds for what is recorded from then on; deactivated rather than deleted. */
export const dataRetentionPolicies = declareResource({
  name: 'data-retention-policies',
  one: 'data retention policy',
  table: 'data_retention_policies',
  idColumn: 'policy_id',
  scope: 'tenant',
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  permissions: { read: 'retention:read', write: 'retention:write' },
  body: retentionPolicy,
  filters: { data_type: z.enum(DATA_TYPES), is_active: flag },
  conflicts: {
    data_retention_policies_one_active:
      'The data type has an active policy already: replace or deactivate that one.',
  },
  check: checkRetentionPolicy,
  forget: ({ services, principal }) => services.tenants.forget(principal.tenantId),
  essential: true,
  sample: ({ unique }) => ({ data_type: 'analyses', retention_days: 400, description: unique }),
});
