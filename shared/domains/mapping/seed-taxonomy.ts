import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import { newId } from '../../platform/ids/ids.ts';
import { FRAMEWORKS_VERSION, LABELS, severityOf, TAXONOMY_VERSION } from './reference-taxonomy.ts';

const LABEL_ROWS = recordset({
  id: 'uuid',
  label: 'text',
  category: 'text',
  subcategory: 'text',
  severity: 'text',
});
const MAPPING_ROWS = recordset({
  id: 'uuid',
  label: 'text',
  framework: 'text',
  clause: 'text',
  severity: 'text',
});

/** Seeds the taxonomy's labels and the framework requirements that they map to. Existing rows are not changed. */
export async function seedTaxonomy(transaction: CrossTenantTransaction): Promise<void> {
  const labels = [...LABELS.keys()].map((label) => {
    const [category = label, ...rest] = label.split('.');
    const subcategory = rest.slice(0, -1).join('.') || null;
    return { id: newId(), label, category, subcategory, severity: severityOf(label) };
  });
  const mappings = [...LABELS].flatMap(([label, requirements]) =>
    requirements.map((requirement) => {
      const [framework = '', clause = ''] = requirement.split(':');
      return { id: newId(), label, framework, clause, severity: severityOf(label) };
    }),
  );
  await transaction.query(
    `insert into taxonomy_labels (id, label, category, subcategory, severity, taxonomy_version)
     select l.id, l.label, l.category, l.subcategory, l.severity, $1 from ${LABEL_ROWS.from('l', 2)}
     on conflict do nothing`,
    [TAXONOMY_VERSION, ...LABEL_ROWS.parameters(labels)],
  );
  await transaction.query(
    `insert into compliance_mappings (id, taxonomy_label, compliance_framework, framework_requirement, severity, frameworks_version)
     select m.id, m.label, m.framework, m.clause, m.severity, $1 from ${MAPPING_ROWS.from('m', 2)}
     on conflict do nothing`,
    [FRAMEWORKS_VERSION, ...MAPPING_ROWS.parameters(mappings)],
  );
}

/** The labels of the taxonomy that the database lacks. Mappings with such a label are refused. */
export async function findMissingLabels(core: CrossTenantDatabase): Promise<string[]> {
  const rows = await core.query<{ label: string }>(
    `select wanted.label from unnest($1::text[]) wanted (label)
      where not exists (select from taxonomy_labels t where t.label = wanted.label) order by 1`,
    [[...LABELS.keys()]],
  );
  return rows.map(({ label }) => label);
}
