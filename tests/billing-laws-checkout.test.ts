import { expect, it } from 'vitest';
import { openBillingLaws } from './harness/billing-laws.ts';

// Half of the laws' runs; the other half is billing-laws-subscription.test.ts. Each takes one core.
const laws = await openBillingLaws();

it(
  'of a tenant that checks out, events in any order, repeated, late and lost leave the rows that they leave in order',
  { timeout: 1_800_000 },
  async () => {
    expect(await laws.check({ signup: 'checkout', runs: 252 })).toBeGreaterThanOrEqual(250);
  },
);
