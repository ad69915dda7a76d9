import { expect, it } from 'vitest';
import { openBillingLaws } from './harness/billing-laws.ts';

// Half of the laws' runs; the other half is billing-laws-checkout.test.ts. Each takes one core.
const laws = await openBillingLaws();

it(
  'of a tenant that subscribes with its card, events in any order, repeated, late and lost leave the rows that they leave in order',
  { timeout: 1_800_000 },
  async () => {
    expect(await laws.check({ signup: 'subscription', runs: 252 })).toBeGreaterThanOrEqual(250);
  },
);
