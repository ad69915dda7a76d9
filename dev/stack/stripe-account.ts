import type { AppSettings } from './app-settings.ts';

/**
 * The app's settings for an account at Stripe itself, which a person has named in the stack's settings or else in the environment.
 * Then no stand-in starts. Undefined if there is none.
 * @throws Error for a live key: a laptop must not take money.
 */
export function findStripeAccount(
  settings: AppSettings,
  environment: NodeJS.ProcessEnv,
): AppSettings | undefined {
  const key = settings['STRIPE_SECRET_KEY'] ?? environment['STRIPE_SECRET_KEY'];
  if (key === undefined || key === '') return undefined;
  if (/^[rs]k_live_/.test(key))
    throw new Error(
      'STRIPE_SECRET_KEY is a live key: the local stack works only with a test key (sk_test_…)',
    );
  const secrets = settings['STRIPE_WEBHOOK_SECRETS'] ?? environment['STRIPE_WEBHOOK_SECRETS'] ?? '';
  return { STRIPE_SECRET_KEY: key, STRIPE_WEBHOOK_SECRETS: secrets };
}
