import type postgres from 'postgres';
import { newId } from '../../shared/platform/ids/ids.ts';

const LABELS = [
  'PII.Identifier.SSN',
  'PII.Contact.Email',
  'PII.Person.Name',
  'PROMPT_INJECTION.ToolRequest',
  'HARM.SPEECH.Toxicity',
  'BIAS.Race',
  'OTHER.Unknown',
];

/** Inserts the platform's rows that most tests need: labels, and a routing plan, a detector and a template named `default`. */
export async function seedReferenceRows(core: postgres.Sql): Promise<void> {
  const labels = LABELS.map((label) => {
    const [category = label, subcategory = null] = label.split('.');
    return { id: newId(), label, category, subcategory, taxonomy_version: 'test' };
  });
  await core`insert into taxonomy_labels ${core(labels)}`;
  await core`insert into routing_plans (tenant_id, id, plan_name, primary_detectors, coverage_method)
    values ('platform', ${newId()}, 'default', ${core.json(['regex-pii', 'llama-guard'])}, 'required_set')`;
  await core`insert into detector_configs (tenant_id, id, detector_name, detector_type, detector_version)
    values ('platform', ${newId()}, 'regex-pii', 'pii', '1')`;
  const content = {
    explanation: 'Between {{period.start}} and {{period.end}} nothing surer than this template is known.',
    remediation_steps: ['Review {{evidence_count}} pieces of evidence.'],
    policy_recommendations: [],
  };
  await core`insert into analysis_templates (tenant_id, id, template_name, template_type, template_content, variables, template_version)
    values ('platform', ${newId()}, 'default', 'default', ${core.json(content)},
            ${core.json(['period.start', 'period.end', 'evidence_count'])}, '1')`;
}
