/** The mutated folders, by the names for `npm run mutate`. A fault there costs evidence, money or tenant isolation. */
export const MUTATED: Readonly<Record<string, readonly string[]>> = {
  'sealing and keys': ['shared/platform/crypto', 'shared/domains/tenancy'],
  'retention and holds': ['shared/domains/retention', 'shared/domains/records'],
  metering: ['shared/domains/billing'],
  'writes and idempotency': ['shared/platform/writes'],
  'bus and quarantine': ['shared/platform/bus', 'shared/platform/consume'],
  auth: ['shared/platform/auth', 'shared/domains/identity'],
  audit: ['shared/domains/audit'],
  alerts: ['shared/domains/alerts'],
  jobs: ['shared/platform/jobs', 'shared/domains/operations'],
};

/** The lowest good score of a folder's tests: killed mutants in percent of those tried. */
export const SCORE_MIN = 85;
