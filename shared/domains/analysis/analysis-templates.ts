import { z } from 'zod';
import { analysisType } from './schemas.ts';
import { checkTemplate, templateContent } from './template.ts';
import { flag, isActive, nameText, settingsObject } from '../../platform/resources/field-schemas.ts';
import { declareResource } from '../../platform/resources/resource.ts';

const analysisTemplate = z.strictObject({
  template_name: nameText,
  template_type: analysisType.describe('The `analysis_type` that it is for.'),
  template_content: templateContent,
  variables: z
    .array(z.string().min(1).max(200))
    .max(200)
    .default([])
    .describe('The `{{variables}}` that the content uses, each declared.'),
  version: z.string().min(1).max(100).describe('The template’s own version.'),
  is_active: isActive,
  metadata: settingsObject,
});

/** Templates replace an analysis's response that does not come or is not sure enough. */
export const analysisTemplates = declareResource({
  name: 'analysis-templates',
  one: 'analysis template',
  description:
    'Texts that replace an analysis that did not come or is not sure enough. The active template of the analysis’s type is used, a tenant’s own before the platform’s.',
  table: 'analysis_templates',
  idColumn: 'id',
  scope: 'shared',
  verbs: ['create', 'list', 'read', 'replace', 'delete'],
  permissions: { read: 'config:read', write: 'config:write' },
  body: analysisTemplate,
  columns: { version: 'template_version' },
  filters: { template_name: nameText, template_type: analysisType, is_active: flag },
  conflicts: {
    analysis_templates_tenant_id_template_type_template_name_te_key:
      'This version of the template exists already.',
  },
  sample: ({ unique }) => ({
    template_name: unique,
    template_type: `type_${unique}`,
    template_content: {
      explanation: 'From {{period.start}}.',
      remediation_steps: ['Review.'],
      policy_recommendations: [],
    },
    variables: ['period.start'],
    version: '1',
  }),
  check: ({ template_content: content, variables }) => checkTemplate(content, variables),
});
