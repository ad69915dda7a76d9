import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import { json, type CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import { newId } from '../../platform/ids/ids.ts';

const CONTENT = {
  explanation:
    'Between {{period.start}} and {{period.end}} the analysis gave no answer that can be relied upon. {{evidence_count}} pieces of evidence were recorded for {{analysis_type}}.',
  remediation_steps: ['Review the evidence of the period by hand.', 'Ask for the analysis again.'],
  policy_recommendations: ['Keep the routing plan’s required detectors available.'],
};
const VARIABLES = ['period.start', 'period.end', 'evidence_count', 'analysis_type'];

/** Seeds the platform's template `default`, for analyses whose type has none. An existing one is not changed. */
export async function seedDefaultTemplate(transaction: CrossTenantTransaction): Promise<void> {
  await transaction.query(
    `insert into analysis_templates (tenant_id, id, template_name, template_type, template_content, variables, template_version)
     values ($1, $2, 'default', 'default', $3, $4, '1') on conflict do nothing`,
    [PLATFORM_TENANT, newId(), json(CONTENT), json(VARIABLES)],
  );
}
