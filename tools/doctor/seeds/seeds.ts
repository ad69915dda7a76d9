import { findMissingLabels } from '../../../shared/domains/mapping/seed-taxonomy.ts';
import { countPlans } from '../../../shared/domains/billing/plans/list-plans.ts';
import { measurePlatformKeys } from '../../../shared/domains/identity/managing-keys.ts';
import { hasPlatformTenant } from '../../../shared/domains/tenancy/seed-platform.ts';
import { DAY_MS } from '../../../shared/platform/time/clock.ts';
import { count, names, ok, problem, warning, type Check } from '../check.ts';

const SEED = 'npm run seed';

/** The platform's own tenant. */
export const platformTenant: Check = {
  name: 'platform-tenant',
  group: 'seeds',
  looksAt: 'whether the platform’s tenant exists',
  run: async (patient) =>
    (await hasPlatformTenant(await patient.crossTenant('core')))
      ? ok('it exists')
      : problem('the platform’s tenant is missing: there can be no operator', SEED),
};

/** The taxonomy. */
export const taxonomy: Check = {
  name: 'taxonomy',
  group: 'seeds',
  looksAt: 'whether the database has every label of the taxonomy',
  async run(patient) {
    const missing = await findMissingLabels(await patient.crossTenant('core'));
    return missing.length === 0
      ? ok('every label is there')
      : problem(
          `${count(missing.length, 'label')} missing (${names(missing)}): mappings with one are refused`,
          SEED,
        );
  },
};

/** Plans. */
export const plans: Check = {
  name: 'plans',
  group: 'seeds',
  looksAt: 'whether there is an active free plan, and one that is sold',
  async run(patient) {
    const { free, sold } = await countPlans(await patient.crossTenant('billing'));
    if (free === 0)
      return problem(
        'no active free plan: a tenant without a subscription has no limits to go by',
        'PUT /api/v1/platform/billing/plans/free with is_active true, as an operator',
      );
    if (sold === 0)
      return warning('no active plan is sold', 'POST /api/v1/platform/billing/plans as an operator');
    return ok(`${free} free, ${sold} sold`);
  },
};

/** Before its last key ends, an operator makes the next one. */
const SOON_DAYS = 14;

/** Whether an operator can sign in. */
export const operatorKey: Check = {
  name: 'operator-key',
  group: 'seeds',
  looksAt: 'whether there is a valid key of an operator',
  async run(patient) {
    const now = patient.clock.now();
    const { keys, lasts_until: until } = await measurePlatformKeys(
      await patient.crossTenant('core'),
      'platform:operate',
      now,
    );
    if (keys === 0) return problem('no operator has a valid key', 'npm run seed -- --operator-key <name>');
    const text = count(keys, 'valid key');
    if (until === null) return ok(text);
    const days = Math.floor((Date.parse(until) - now.getTime()) / DAY_MS);
    return days < SOON_DAYS
      ? warning(
          `${text}, the last one until ${until.slice(0, 10)}`,
          'POST /api/v1/api-keys/{key_id}/rotate, or npm run seed -- --operator-key <name>',
        )
      : ok(`${text}, until ${until.slice(0, 10)}`);
  },
};
