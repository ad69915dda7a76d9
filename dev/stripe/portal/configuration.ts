import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';

type Configuration = Stripe.BillingPortal.Configuration;

/** What the portal lets customers do; the dashboard of a new account says about the same. */
function makeDefault(context: Context): Configuration {
  const now = context.now();
  return {
    id: context.newId('billing_portal.configuration'),
    object: 'billing_portal.configuration',
    active: true,
    application: null,
    business_profile: { headline: null, privacy_policy_url: null, terms_of_service_url: null },
    created: now,
    default_return_url: null,
    features: {
      customer_update: { allowed_updates: [], enabled: false },
      invoice_history: { enabled: true },
      payment_method_update: { enabled: true, payment_method_configuration: null },
      subscription_cancel: {
        cancellation_reason: { enabled: false, feedback_options: null, options: [] },
        enabled: true,
        mode: 'at_period_end',
        proration_behavior: 'none',
      },
      subscription_pause: { duration: { interval_options: [], type: 'indefinite' }, enabled: false },
      subscription_update: {
        billing_cycle_anchor: 'unchanged',
        default_allowed_updates: ['price'],
        enabled: true,
        products: null,
        proration_behavior: 'always_invoice',
        schedule_at_period_end: { conditions: [] },
        trial_update_behavior: 'continue_trial',
      },
    },
    is_default: true,
    livemode: false,
    login_page: { enabled: false, url: null },
    metadata: {},
    name: null,
    updated: now,
  };
}

/** The account's default configuration, which is made when it is first needed. */
export function defaultConfiguration(context: Context): Configuration {
  const [known] = context.store.list('billing_portal.configuration', ({ is_default }) => is_default);
  return known ?? context.create('billing_portal.configuration.created', makeDefault(context));
}
