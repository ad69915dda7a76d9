import { z } from 'zod';
import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import type { Call } from '../../platform/call/call.ts';
import { log } from '../../platform/log/log.ts';
import { templateContent, type TemplateContent } from './template.ts';

/** A template that stands in for an analysis. */
export interface Template {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly content: TemplateContent;
}

const rowSchema = z.object({
  analysis_type: z.string(),
  id: z.string(),
  template_name: z.string(),
  template_version: z.string(),
  template_content: z.unknown(),
});

/** The template of last resort, whatever its type. */
const DEFAULT_NAME = 'default';

/**
 * The active templates that stand in for analyses of some types: the tenant's newest of the type, else the platform's, else
 * the one named `default`, the tenant's before the platform's. A type without any is not in the map.
 */
export async function findTemplates(
  call: Call,
  analysisTypes: readonly string[],
): Promise<ReadonlyMap<string, Template>> {
  if (analysisTypes.length === 0) return new Map();
  const rows = await call.tenant.statement(
    `select r.* from scope, unnest($2::text[]) as wanted (analysis_type), lateral (
       select wanted.analysis_type, t.id, t.template_name, t.template_version, t.template_content
         from analysis_templates t
        where t.tenant_id in (scope.tenant_id, $3) and t.is_active
          and (t.template_type = wanted.analysis_type or t.template_name = $4)
        order by t.template_type = wanted.analysis_type desc, t.tenant_id = scope.tenant_id desc,
                 t.created_at desc, t.id desc
        limit 1 offset 0) r`,
    [[...new Set(analysisTypes)], PLATFORM_TENANT, DEFAULT_NAME],
  );
  return new Map(rows.flatMap((row) => readTemplate(row)));
}

/** A stored template that is none, which only a hand in the database can have made, stands in for nothing. */
function readTemplate(given: unknown): [string, Template][] {
  const row = rowSchema.parse(given);
  const content = templateContent.safeParse(row.template_content);
  if (!content.success) {
    log.warn('analysis-template-unusable', { template_id: row.id });
    return [];
  }
  const { id, template_name: name, template_version: version } = row;
  return [[row.analysis_type, { id, name, version, content: content.data }]];
}
