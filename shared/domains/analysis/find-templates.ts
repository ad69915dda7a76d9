import { z } from 'zod';
import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import type { Call } from '../../platform/call/call.ts';
import { log } from '../../platform/log/log.ts';
import { templateContent, type TemplateContent } from './template.ts';

/** A template that can replace an analysis's response. */
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

/** The name of the template that is used when the type has none. */
const DEFAULT_NAME = 'default';

/**
 * The active template of each type. Order of precedence: the tenant's newest of the type, the platform's of the type, the
 * tenant's named `default`, the platform's named `default`. A type without any is not in the map.
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

/** Ignores a stored template that does not fit the schema. Only a manual change in the database can make one. */
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
