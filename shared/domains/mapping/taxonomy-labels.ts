import { z } from 'zod';
import { forgetLabels } from './taxonomy.ts';
import { flag, isActive, optionalText, SEVERITIES } from '../../platform/resources/field-schemas.ts';
import { declareResource } from '../../platform/resources/resource.ts';

const label = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$/, 'must be words of A-Z, a-z, 0-9 and _ joined by dots');

const taxonomyLabel = z.strictObject({
  label,
  category: z.string().min(1).max(100),
  subcategory: optionalText(100),
  description: optionalText(2000),
  severity: z.enum(SEVERITIES).default('medium'),
  taxonomy_version: z.string().min(1).max(50),
  is_active: isActive.describe('New mappings may use active labels only.'),
});

/** The canonical taxonomy. A label is deactivated, never deleted: records refer to it. */
export const taxonomyLabels = declareResource({
  name: 'taxonomy-labels',
  one: 'taxonomy label',
  description:
    'The canonical labels that mappings may use. They are the platform’s and the same for every tenant.',
  table: 'taxonomy_labels',
  idColumn: 'id',
  scope: 'platform',
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  permissions: { read: 'config:read', write: 'platform:operate' },
  body: taxonomyLabel,
  filters: {
    label,
    category: z.string().max(100),
    severity: z.enum(SEVERITIES),
    taxonomy_version: z.string().max(50),
    is_active: flag,
  },
  conflicts: {
    taxonomy_labels_label_taxonomy_version_key: 'This version of the taxonomy has the label already.',
  },
  forget: () => forgetLabels(),
  sample: ({ unique }) => ({ label: `SAMPLE.${unique}`, category: 'SAMPLE', taxonomy_version: '1' }),
});
