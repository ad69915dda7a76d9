/** What is mutated, by the names that `npm run mutate` takes: where a fault costs evidence, money or a tenant's isolation. */
export const MUTATED: Readonly<Record<string, readonly string[]>> = {
  'sealing and keys': ['shared/platform/crypto'],
  'retention and holds': ['shared/domains/retention', 'shared/domains/records'],
  metering: ['shared/domains/billing'],
  'writes and idempotency': ['shared/platform/writes'],
  'bus and quarantine': ['shared/platform/bus', 'shared/platform/consume'],
  auth: ['shared/platform/auth', 'shared/domains/identity'],
  audit: ['shared/domains/audit'],
  jobs: ['shared/platform/jobs'],
};

/** The score, in percent of the mutants tried, below which a folder's tests are not good enough. */
export const SCORE_MIN = 85;
