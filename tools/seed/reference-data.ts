import { PLATFORM_TENANT } from '../../shared/platform/auth/principal.ts';
import { json, type CrossTenantTransaction } from '../../shared/platform/db/tenant-database.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { FRAMEWORKS_VERSION, LABELS, severityOf, TAXONOMY_VERSION } from './taxonomy.ts';

/** The detectors of the platform's routing plan `default`. */
const DETECTORS = [
  { name: 'regex-pii', type: 'pii', primary: true },
  { name: 'llama-guard', type: 'safety', primary: true },
  { name: 'detoxify-hatebert', type: 'toxicity', primary: false },
  { name: 'deberta-toxicity', type: 'toxicity', primary: false },
  { name: 'openai-moderation', type: 'moderation', primary: false },
] as const;

const TEMPLATE = {
  explanation:
    'Between {{period.start}} and {{period.end}} the analysis gave no answer that can be relied upon. {{evidence_count}} pieces of evidence were recorded for {{analysis_type}}.',
  remediation_steps: ['Review the evidence of the period by hand.', 'Ask for the analysis again.'],
  policy_recommendations: ['Keep the routing plan’s required detectors available.'],
};

/**
 * Writes the platform's tenant and what all tenants share: the taxonomy with its compliance mappings, and a routing plan, a
 * detector set and an analysis template named `default`. Existing rows stay, so that it can run again.
 */
export async function seedReferenceData(transaction: CrossTenantTransaction): Promise<void> {
  await transaction.query(
    `insert into tenants (tenant_id, name, plan_id) values ($1, 'Platform', 'enterprise') on conflict do nothing`,
    [PLATFORM_TENANT],
  );
  const labels = [...LABELS].map(([label, requirements]) => {
    const [category = label, ...rest] = label.split('.');
    const mappings = requirements.map((requirement) => {
      const [framework = '', clause = ''] = requirement.split(':');
      return { id: newId(), framework, clause };
    });
    return {
      id: newId(),
      label,
      category,
      subcategory: rest.slice(0, -1).join('.') || null,
      severity: severityOf(label),
      mappings,
    };
  });
  await transaction.query(
    `with given as (
       select * from jsonb_to_recordset($1) as g (id uuid, label text, category text, subcategory text, severity text, mappings jsonb)),
     label as (
       insert into taxonomy_labels (id, label, category, subcategory, severity, taxonomy_version)
       select id, label, category, subcategory, severity, $2 from given on conflict do nothing)
     insert into compliance_mappings (id, taxonomy_label, compliance_framework, framework_requirement, severity, frameworks_version)
     select m.id, g.label, m.framework, m.clause, g.severity, $3
       from given g, jsonb_to_recordset(g.mappings) as m (id uuid, framework text, clause text) on conflict do nothing`,
    [json(labels), TAXONOMY_VERSION, FRAMEWORKS_VERSION],
  );
  await transaction.query(
    `insert into routing_plans (tenant_id, id, plan_name, primary_detectors, secondary_detectors)
     values ($1, $2, 'default', $3, $4) on conflict do nothing`,
    [
      PLATFORM_TENANT,
      newId(),
      json(DETECTORS.filter((detector) => detector.primary).map((detector) => detector.name)),
      json(DETECTORS.filter((detector) => !detector.primary).map((detector) => detector.name)),
    ],
  );
  for (const detector of DETECTORS) {
    await transaction.query(
      `insert into detector_configs (tenant_id, id, detector_name, detector_type, detector_version)
       values ($1, $2, $3, $4, 'v1') on conflict do nothing`,
      [PLATFORM_TENANT, newId(), detector.name, detector.type],
    );
  }
  await transaction.query(
    `insert into analysis_templates (tenant_id, id, template_name, template_type, template_content, variables, template_version)
     values ($1, $2, 'default', 'default', $3, $4, '1') on conflict do nothing`,
    [
      PLATFORM_TENANT,
      newId(),
      json(TEMPLATE),
      json(['period.start', 'period.end', 'evidence_count', 'analysis_type']),
    ],
  );
}
