import { z } from 'zod';
import type { Fault } from '../../platform/call/problem.ts';
import { flag, isActive, optionalText, SEVERITIES } from '../../platform/resources/field-schemas.ts';
import { declareResource, type CheckContext } from '../../platform/resources/resource.ts';
import { taxonomyLabels } from './taxonomy-labels.ts';

const complianceMapping = z.strictObject({
  taxonomy_label: z.string().min(1).max(200),
  compliance_framework: z.string().min(1).max(50).describe('E.g. SOC2, ISO27001, HIPAA.'),
  framework_requirement: z.string().min(1).max(200).describe('E.g. CC7.2.'),
  severity: z.enum(SEVERITIES).default('medium'),
  remediation_guidance: optionalText(5000),
  frameworks_version: z.string().min(1).max(50),
  is_active: isActive,
});

async function checkLabel(
  mapping: z.output<typeof complianceMapping>,
  { transaction }: CheckContext,
): Promise<Fault[]> {
  const found = await transaction.query(`select from taxonomy_labels where label = $1 limit 1`, [
    mapping.taxonomy_label,
  ]);
  return found.length > 0 ? [] : [{ pointer: '/taxonomy_label', detail: 'is not a label of the taxonomy' }];
}

/** The framework requirements that a finding concerns. Deactivated, never deleted: reports refer to them. */
export const complianceMappings = declareResource({
  name: 'compliance-mappings',
  one: 'compliance mapping',
  description:
    'Which requirement of which framework a taxonomy label touches. They are the platform’s and the same for every tenant.',
  table: 'compliance_mappings',
  idColumn: 'id',
  scope: 'platform',
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  permissions: { read: 'config:read', write: 'platform:operate' },
  body: complianceMapping,
  filters: {
    taxonomy_label: z.string().max(200),
    compliance_framework: z.string().max(50),
    framework_requirement: z.string().max(200),
    is_active: flag,
  },
  conflicts: {
    compliance_mappings_taxonomy_label_compliance_framework_fra_key:
      'The label is mapped to this requirement already.',
  },
  check: checkLabel,
  sample: async ({ unique, make }) => ({
    taxonomy_label: (await make(taxonomyLabels))['label'],
    compliance_framework: 'SOC2',
    framework_requirement: unique,
    frameworks_version: '1',
  }),
});
