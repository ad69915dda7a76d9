import { expect, test } from 'vitest';
import { findStripeAccount } from './stripe-account.ts';

test('the stack has its own stand-in unless a key of Stripe is given', () => {
  expect(findStripeAccount({}, {})).toBeUndefined();
  expect(findStripeAccount({}, { STRIPE_SECRET_KEY: '', STRIPE_WEBHOOK_SECRETS: 'whsec_1' })).toBeUndefined();
});

test('a setting counts before the environment', () => {
  const environment = { STRIPE_SECRET_KEY: 'sk_test_env', STRIPE_WEBHOOK_SECRETS: 'whsec_env' };
  expect(findStripeAccount({}, environment)).toEqual(environment);
  expect(findStripeAccount({ STRIPE_SECRET_KEY: 'sk_test_set' }, environment)).toEqual({
    STRIPE_SECRET_KEY: 'sk_test_set',
    STRIPE_WEBHOOK_SECRETS: 'whsec_env',
  });
});

test.each(['sk_live_1', 'rk_live_1'])('a live key is refused, and not shown: %s', (key) => {
  expect(() => findStripeAccount({}, { STRIPE_SECRET_KEY: key })).toThrow(/is a live key/);
  expect(() => findStripeAccount({ STRIPE_SECRET_KEY: key }, {})).not.toThrow(key);
});
