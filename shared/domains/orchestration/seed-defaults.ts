import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import { recordset } from '../../platform/db/recordset.ts';
import { json, type CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import { newId } from '../../platform/ids/ids.ts';

/** The detectors that the platform's routing plan `default` requires, and the others of its set. */
const DETECTORS = [
  { name: 'regex-pii', type: 'pii', primary: true },
  { name: 'llama-guard', type: 'safety', primary: true },
  { name: 'detoxify-hatebert', type: 'toxicity', primary: false },
  { name: 'deberta-toxicity', type: 'toxicity', primary: false },
  { name: 'openai-moderation', type: 'moderation', primary: false },
] as const;

const DETECTOR_ROWS = recordset({ id: 'uuid', name: 'text', type: 'text' });

/** Seeds the platform's routing plan `default` and its detectors. Existing rows are not changed. */
export async function seedRoutingDefaults(transaction: CrossTenantTransaction): Promise<void> {
  const named = (isPrimary: boolean): string[] =>
    DETECTORS.filter(({ primary }) => primary === isPrimary).map(({ name }) => name);
  await transaction.query(
    `insert into routing_plans (tenant_id, id, plan_name, primary_detectors, secondary_detectors)
     values ($1, $2, 'default', $3, $4) on conflict do nothing`,
    [PLATFORM_TENANT, newId(), json(named(true)), json(named(false))],
  );
  const rows = DETECTORS.map(({ name, type }) => ({ id: newId(), name, type }));
  await transaction.query(
    `insert into detector_configs (tenant_id, id, detector_name, detector_type, detector_version)
     select $1, d.id, d.name, d.type, 'v1' from ${DETECTOR_ROWS.from('d', 2)} on conflict do nothing`,
    [PLATFORM_TENANT, ...DETECTOR_ROWS.parameters(rows)],
  );
}
