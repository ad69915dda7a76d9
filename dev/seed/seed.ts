import { PLATFORM_TENANT } from '../../shared/auth/authenticate.ts';
import { PERMISSION_SETS, type Permission } from '../../shared/auth/permissions.ts';
import { readSettings } from '../../shared/config/settings.ts';
import { json, type JobsTransaction } from '../../shared/db/tenant-database.ts';
import { Problem } from '../../shared/http/problem.ts';
import { insertKey } from '../../shared/identity/insert-key.ts';
import { newId } from '../../shared/ids/ids.ts';
import { openServices, type Services } from '../../shared/runtime/services.ts';
import { addTenant } from '../../shared/tenancy/create-tenant.ts';
import type { SeedResult } from '../stack/secrets.ts';
import { FRAMEWORKS_VERSION, LABELS, severityOf, TAXONOMY_VERSION } from './taxonomy.ts';

/** A local stack is driven by demos, replays and load tests: limits that none of them meets. */
const RATE_PER_HOUR = 1_000_000;
const RATE_PER_DAY = 10_000_000;

/** The detectors that the platform's routing plan named `default` asks for, and the others of its set. */
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

/** What the seed works on: the app's settings as its environment. */
export interface SeedOptions {
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * Fills a local stack's databases: the platform's defaults, the tenants acme (professional) and globex (free), and their
 * keys, whose text is in the answer alone. Safe to repeat after a crash: what is there stays, keys are made anew.
 */
export async function seedStack({ settings }: SeedOptions): Promise<SeedResult> {
  const services = openServices(readSettings({ ...settings }));
  try {
    const now = services.clock.now();
    await services.jobs.core.transaction((transaction) => seedPlatform(transaction));
    await seedTenant(services, { tenant_id: 'acme', name: 'Acme', plan_id: 'professional' }, now);
    await seedTenant(services, { tenant_id: 'globex', name: 'Globex', plan_id: 'free' }, now);
    return await services.jobs.core.transaction(async (transaction) => {
      const key = async (
        tenantId: string,
        name: string,
        permissions: readonly Permission[],
      ): Promise<string> => {
        const made = await insertKey(
          services.settings,
          transaction,
          {
            tenantId,
            name,
            permissions,
            rateLimitPerHour: RATE_PER_HOUR,
            rateLimitPerDay: RATE_PER_DAY,
            expiresAt: null,
            createdBy: 'seed',
          },
          now,
        );
        return made.credential;
      };
      const keysOf = async (tenantId: string): Promise<SeedResult['tenants']['acme']> => ({
        writer: await key(tenantId, 'writer', PERMISSION_SETS.writer),
        reader: await key(tenantId, 'reader', PERMISSION_SETS.reader),
        owner: await key(tenantId, 'owner', PERMISSION_SETS.owner),
      });
      return {
        tenants: { acme: await keysOf('acme'), globex: await keysOf('globex') },
        operator: await key(PLATFORM_TENANT, 'operator', PERMISSION_SETS.operator),
      };
    });
  } finally {
    await services.close();
  }
}

async function seedTenant(
  services: Services,
  tenant: Parameters<typeof addTenant>[2],
  now: Date,
): Promise<void> {
  try {
    await services.jobs.core.transaction((transaction) => addTenant(services, transaction, tenant, now));
  } catch (error) {
    // It is there already: an earlier seed was cut short.
    if (!(error instanceof Problem && error.code === 'CONFLICT')) throw error;
  }
}

async function seedPlatform(transaction: JobsTransaction): Promise<void> {
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
