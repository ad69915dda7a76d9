import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

/** Whose usage or payment it is. The amounts stay. */
const person = { user_id: 'pseudonym' } as const;
const BY_LAW = 'Invoices and what was paid are kept for ten years by law.';

export const billingTables: readonly TenantTable[] = [
  // First: from here on what Stripe says makes no rows of the tenant again.
  tenantTable('billing', {
    table: 'ops.stripe_customers',
    key: [],
    onErasure: {
      keep: 'A late event of Stripe finds by it that its tenant is erased, and an operator the customer at Stripe.',
      clear: { is_erased: `'true'` },
    },
  }),
  tenantTable('billing', {
    table: 'usage_records',
    person,
    key: ['event_source', 'event_id', 'occurred_at'],
  }),
  tenantTable('billing', {
    table: 'free_tier_usage',
    person,
    key: ['user_id', 'usage_type', 'reset_period'],
  }),
  tenantTable('billing', {
    table: 'ops.free_tier_periods',
    person,
    key: ['user_id', 'usage_type', 'reset_period', 'period_start'],
  }),
  tenantTable('billing', {
    table: 'ops.usage_thresholds',
    person,
    key: ['user_id', 'usage_type', 'reset_period', 'period_start', 'threshold'],
  }),
  tenantTable('billing', {
    table: 'ops.usage_reservations',
    key: ['reservation_id', 'usage_type'],
    export: { not: 'What running requests may use. It is gone when they end.' },
  }),
  tenantTable('billing', { table: 'ops.meter_windows', key: ['window_id'] }),
  tenantTable('billing', {
    table: 'ops.checkout_sessions',
    key: ['checkout_id'],
    // Only compares a repeated checkout with this one.
    export: { leaveOut: ['wish'] },
  }),
  tenantTable('billing', { table: 'promotional_code_usage', person, key: ['code'] }),
  tenantTable('billing', { table: 'payment_methods', person, key: ['payment_method_id'] }),
  tenantTable('billing', { table: 'user_subscriptions', person, key: ['subscription_id'] }),
  tenantTable('billing', {
    table: 'billing_payments',
    person,
    key: ['payment_id'],
    onErasure: {
      keep: BY_LAW,
      byLaw: true,
      clear: { user_id: `''`, card_brand: 'null', card_last_four: 'null' },
    },
  }),
  tenantTable('billing', {
    table: 'billing_invoices',
    person,
    key: ['invoice_id'],
    // Stripe's pages, which show who paid.
    onErasure: {
      keep: BY_LAW,
      byLaw: true,
      clear: { user_id: `''`, hosted_invoice_url: 'null', invoice_pdf: 'null' },
    },
  }),
  tenantTable('billing', {
    table: 'stripe_events',
    key: ['event_id'],
    export: { not: 'Stripe’s notifications. What they told is in the exported tables.' },
  }),
  tenantTable('billing', {
    table: 'ops.stripe_mismatches',
    key: ['mismatch_id'],
    export: { not: 'What this service must settle with Stripe.' },
  }),
];
