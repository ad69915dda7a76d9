import { z } from 'zod';
import { instant, unit } from '../../platform/http/fields.ts';
import { forgetThresholds } from './thresholds.ts';
import { flag, isActive, nameText, settingsObject } from '../../platform/resources/field-schemas.ts';
import { declareResource } from '../../platform/resources/resource.ts';

const detectorConfig = z.strictObject({
  detector_name: nameText,
  detector_set: nameText.default('default'),
  detector_type: z.string().min(1).max(100).describe('What it detects, e.g. pii, toxicity, jailbreak.'),
  version: z.string().min(1).max(100).describe('The detector’s own version.'),
  configuration: settingsObject,
  confidence_threshold: unit
    .default(0.5)
    .describe(
      'A result with a lower confidence, or without one, is not a success for coverage. Use 0 for a detector that states no confidence.',
    ),
  endpoint_url: z
    .url({ protocol: /^https?$/ })
    .max(500)
    .nullable()
    .default(null),
  health_status: z.enum(['unknown', 'healthy', 'degraded', 'unhealthy']).default('unknown'),
  last_health_check_at: instant.nullable().default(null),
  is_active: isActive,
});

/** The detectors that routing plans use. */
export const detectorConfigs = declareResource({
  name: 'detector-configs',
  one: 'detector config',
  description:
    'How a tenant’s detectors are set up. A config of the platform stands in where the tenant has none of its own.',
  table: 'detector_configs',
  idColumn: 'id',
  scope: 'shared',
  verbs: ['create', 'list', 'read', 'replace', 'delete'],
  permissions: { read: 'config:read', write: 'config:write' },
  body: detectorConfig,
  columns: { version: 'detector_version' },
  filters: {
    detector_name: nameText,
    detector_set: nameText,
    detector_type: z.string().max(100),
    is_active: flag,
  },
  conflicts: {
    detector_configs_tenant_id_detector_set_detector_name_detec_key:
      'This version of the detector is in the set already.',
  },
  forget: ({ services }) => forgetThresholds(services),
  sample: ({ unique }) => ({ detector_name: unique, detector_type: 'pii', version: '1' }),
});
