-- Billing through Stripe: what is sold at which price and how its limits bind, a tenant's subscription as Stripe has it, invoices,
-- payments, promotional codes, the events that came and what became of them. Money is integer minor units beside a currency.

-- How a limit binds: hard refuses, soft warns, metered charges for what is beyond it. A type without an entry is hard in a
-- plan of the type `free`, else soft. allowances: further free allowances beside the monthly ones that `limits` gives a tenant.
alter table billing_plans
  add column stripe_price_id_yearly text,
  add column limit_policies jsonb not null default '{}',
  add column allowances jsonb not null default '[]',
  add column stripe_meters jsonb not null default '{}',
  add column trial_days integer not null default 0 check (trial_days between 0 and 730),
  add column synced_at timestamptz;
create unique index billing_plans_price on billing_plans (stripe_price_id) where stripe_price_id is not null;
create unique index billing_plans_price_yearly on billing_plans (stripe_price_id_yearly) where stripe_price_id_yearly is not null;

-- What is beyond a paid plan's limit works on and is warned of. Calls and detector runs, which come in numbers, are charged instead:
-- $0.50 and $1.00 a thousand with starter, the half with professional. enterprise and white glove have no limits.
update billing_plans set limit_policies = '{
    "api_calls": {"mode": "metered", "overage_unit_amount_decimal": "0.05"},
    "detector_runs": {"mode": "metered", "overage_unit_amount_decimal": "0.1"},
    "analysis_runs": {"mode": "soft"}, "storage_gb": {"mode": "soft"}}'
 where plan_id = 'starter';
update billing_plans set limit_policies = '{
    "api_calls": {"mode": "metered", "overage_unit_amount_decimal": "0.025"},
    "detector_runs": {"mode": "metered", "overage_unit_amount_decimal": "0.05"},
    "analysis_runs": {"mode": "soft"}, "storage_gb": {"mode": "soft"}}'
 where plan_id = 'professional';

-- Every price that was ever made at Stripe for a plan. Stripe's prices are replaced, never edited, and a subscription keeps the one
-- that it began with: its plan is found by an older price too. overage: what one unit beyond a metered limit costs.
create table ops.plan_prices (
  stripe_price_id     text primary key,
  plan_id             text not null references billing_plans,
  kind                text not null check (kind in ('base', 'overage')),
  billing_cycle       text not null check (billing_cycle in ('monthly', 'yearly')),
  usage_type          text,
  currency            text not null check (currency ~ '^[A-Z]{3}$'),
  unit_amount_decimal text not null,
  is_current          boolean not null,
  archived_at         timestamptz,
  created_at          timestamptz not null,
  updated_at          timestamptz not null,
  check ((kind = 'overage') = (usage_type is not null))
);
create index plan_prices_plan on ops.plan_prices (plan_id);

-- Who a Stripe customer is. The row is made before the customer is: a tenant has one, whatever races. The attempts say when a customer
-- may have been made whose id was lost: Stripe forgets an Idempotency-Key after a day, and is then asked first. change_number:
-- the next change of the subscription, the name that Stripe knows it by; two changes at once have the same.
create table ops.stripe_customers (
  tenant_id          text primary key,
  stripe_customer_id text unique,
  first_attempt_at   timestamptz,
  last_attempt_at    timestamptz,
  change_number      integer not null default 0,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now()
);
call ops.isolate_tenant('ops.stripe_customers');

alter table user_subscriptions
  add column stripe_status text,
  add column stripe_item_id text,
  add column stripe_price_id text,
  add column cancel_at_period_end boolean not null default false,
  add column cancel_at timestamptz,
  add column canceled_at timestamptz,
  add column ended_at timestamptz,
  add column billing_cycle_anchor timestamptz,
  add column past_due_since timestamptz,
  add column promotional_code text,
  add column synced_at timestamptz;
create index user_subscriptions_past_due on user_subscriptions (past_due_since) where past_due_since is not null;

create table billing_invoices (
  tenant_id                text not null,
  invoice_id               uuid not null,
  user_id                  text not null default '',
  subscription_id          uuid,
  invoice_number           text,
  status                   text not null check (status in ('draft', 'open', 'paid', 'void', 'uncollectible')),
  billing_reason           text,
  currency                 text not null check (currency ~ '^[A-Z]{3}$'),
  subtotal                 bigint not null,
  discount                 bigint not null default 0,
  tax                      bigint not null default 0,
  total                    bigint not null,
  amount_due               bigint not null,
  amount_paid              bigint not null,
  amount_remaining         bigint not null,
  line_items               jsonb not null default '[]',
  period_start             timestamptz,
  period_end               timestamptz,
  due_at                   timestamptz,
  finalized_at             timestamptz,
  paid_at                  timestamptz,
  voided_at                timestamptz,
  attempt_count            integer not null default 0,
  next_payment_attempt_at  timestamptz,
  hosted_invoice_url       text,
  invoice_pdf              text,
  stripe_invoice_id        text not null,
  stripe_subscription_id   text,
  stripe_payment_intent_id text,
  synced_at                timestamptz not null,
  created_at               timestamptz not null,
  updated_at               timestamptz not null default now(),
  version                  integer not null default 1,
  primary key (tenant_id, invoice_id),
  unique (tenant_id, stripe_invoice_id)
);
call ops.isolate_tenant('billing_invoices');
create index billing_invoices_page on billing_invoices (tenant_id, created_at desc, invoice_id desc);
create index billing_invoices_open on billing_invoices (tenant_id, invoice_id) where status = 'open';

create table billing_payments (
  tenant_id                text not null,
  payment_id               uuid not null,
  invoice_id               uuid,
  user_id                  text not null default '',
  amount                   bigint not null check (amount >= 0),
  currency                 text not null check (currency ~ '^[A-Z]{3}$'),
  status                   text not null check (status in ('pending', 'requires_action', 'succeeded', 'failed', 'canceled', 'refunded', 'partially_refunded', 'disputed')),
  failure_code             text,
  refunded_amount          bigint not null default 0 check (refunded_amount >= 0),
  dispute_status           text,
  payment_method_type      text,
  card_brand               text,
  card_last_four           text check (card_last_four ~ '^[0-9]{4}$'),
  stripe_payment_intent_id text not null,
  stripe_charge_id         text,
  paid_at                  timestamptz,
  synced_at                timestamptz not null,
  created_at               timestamptz not null,
  updated_at               timestamptz not null default now(),
  version                  integer not null default 1,
  primary key (tenant_id, payment_id),
  unique (tenant_id, stripe_payment_intent_id),
  check (refunded_amount <= amount)
);
call ops.isolate_tenant('billing_payments');
create index billing_payments_page on billing_payments (tenant_id, created_at desc, payment_id desc);
create index billing_payments_invoice on billing_payments (tenant_id, invoice_id);

-- Never a full card number: Stripe keeps it.
create table payment_methods (
  tenant_id                text not null,
  payment_method_id        uuid not null,
  user_id                  text not null default '',
  type                     text not null,
  card_brand               text,
  card_last_four           text check (card_last_four ~ '^[0-9]{4}$'),
  card_exp_month           smallint check (card_exp_month between 1 and 12),
  card_exp_year            smallint,
  billing_address          jsonb,
  is_default               boolean not null default false,
  is_active                boolean not null default true,
  stripe_payment_method_id text not null,
  synced_at                timestamptz not null,
  created_at               timestamptz not null,
  updated_at               timestamptz not null default now(),
  version                  integer not null default 1,
  primary key (tenant_id, payment_method_id),
  unique (tenant_id, stripe_payment_method_id),
  check (is_active or not is_default)
);
call ops.isolate_tenant('payment_methods');
create unique index payment_methods_default on payment_methods (tenant_id) where is_default;
create index payment_methods_page on payment_methods (tenant_id, created_at desc, payment_method_id desc);

-- discount_value: percent for `percentage`, minor units of the currency for `fixed_amount`, days for `free_trial`.
create table promotional_codes (
  code                     text primary key check (code ~ '^[A-Z0-9-]{3,50}$'),
  description              text,
  discount_type            text not null check (discount_type in ('percentage', 'fixed_amount', 'free_trial')),
  discount_value           bigint not null check (discount_value > 0),
  currency                 text check (currency ~ '^[A-Z]{3}$'),
  duration                 text not null default 'once' check (duration in ('once', 'repeating', 'forever')),
  duration_in_months       integer check (duration_in_months > 0),
  max_uses                 integer check (max_uses > 0),
  current_uses             integer not null default 0 check (current_uses >= 0),
  valid_from               timestamptz,
  valid_until              timestamptz,
  applicable_plans         jsonb not null default '[]',
  stripe_coupon_id         text,
  stripe_promotion_code_id text,
  synced_at                timestamptz,
  is_active                boolean not null default true,
  created_at               timestamptz not null default now(),
  updated_at               timestamptz not null default now(),
  version                  integer not null default 1,
  check (max_uses is null or current_uses <= max_uses),
  check (discount_type <> 'percentage' or discount_value <= 100),
  check ((discount_type = 'fixed_amount') = (currency is not null)),
  check ((duration = 'repeating') = (duration_in_months is not null)),
  check (valid_until is null or valid_until > valid_from)
);
create index promotional_codes_page on promotional_codes (created_at desc, code desc);

-- A use is reserved with the checkout that names it, becomes used with the subscription, and is given back where the checkout ends
-- without one. One row a tenant and code: one use a tenant.
create table promotional_code_usage (
  tenant_id           text not null,
  code                text not null references promotional_codes,
  user_id             text not null default '',
  subscription_id     uuid,
  status              text not null check (status in ('reserved', 'used')),
  checkout_session_id text,
  reserved_at         timestamptz not null,
  used_at             timestamptz,
  discount_applied    bigint,
  currency            text,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  primary key (tenant_id, code)
);
call ops.isolate_tenant('promotional_code_usage');
create index promotional_code_usage_reserved on promotional_code_usage (reserved_at) where status = 'reserved';

-- Checkouts under way: what the same request again is answered with, and whose they are. wish: a hash of all that was asked for. One is
-- open a tenant: who has two pages open could pay twice.
create table ops.checkout_sessions (
  tenant_id           text not null,
  checkout_id         uuid not null,
  stripe_session_id   text,
  plan_id             text not null,
  billing_cycle       text not null,
  promotional_code    text,
  wish                bytea,
  status              text not null default 'open' check (status in ('open', 'complete', 'expired')),
  created_at          timestamptz not null,
  expires_at          timestamptz,
  primary key (tenant_id, checkout_id)
);
call ops.isolate_tenant('ops.checkout_sessions');
create unique index checkout_sessions_one_open on ops.checkout_sessions (tenant_id) where status = 'open';
create unique index checkout_sessions_stripe on ops.checkout_sessions (stripe_session_id) where stripe_session_id is not null;

-- Every event that Stripe sent, or that the reconcile timer found, once.
create table stripe_events (
  event_id        text primary key,
  type            text not null,
  api_version     text,
  livemode        boolean not null default false,
  object_type     text,
  object_id       text,
  tenant_id       text,
  created         timestamptz not null,
  payload         jsonb,
  found_by        text not null default 'webhook' check (found_by in ('webhook', 'reconcile')),
  status          text not null default 'received' check (status in ('received', 'processed', 'ignored', 'failed', 'mismatch')),
  attempts        integer not null default 0,
  next_attempt_at timestamptz,
  processed_at    timestamptz,
  error           text,
  received_at     timestamptz not null,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now()
);
create index stripe_events_page on stripe_events (received_at desc, event_id desc);
create index stripe_events_due on stripe_events (next_attempt_at) where status = 'received';
create index stripe_events_waiting on stripe_events (object_id) where status = 'received';
create index stripe_events_payloads on stripe_events (received_at) where payload is not null;

-- Where Stripe and this database differ: an object of no known tenant, a price of no plan, a state that this build does not know,
-- a row that the reconcile timer had to mend.
create table ops.stripe_mismatches (
  mismatch_id uuid primary key,
  kind        text not null,
  object_type text not null,
  object_id   text not null,
  tenant_id   text,
  details     jsonb not null default '{}',
  found_at    timestamptz not null,
  last_seen_at timestamptz not null,
  resolved_at timestamptz
);
create unique index stripe_mismatches_open on ops.stripe_mismatches (kind, object_id) where resolved_at is null;
create index stripe_mismatches_page on ops.stripe_mismatches (found_at desc, mismatch_id desc);

-- A tenant's use of every limit of its plan in the running period, not only of free ones. mode: how the limit binds; `none`: the
-- plan no longer has it, and it is only counted. plan_id: whose limit it is; null: nobody's, made by hand. anchor_at: where periods are
-- counted from, when it is not the midnight of anchor_date. reported: what windows have of the use beyond the limit.
alter table free_tier_usage
  add column mode text not null default 'hard' check (mode in ('hard', 'soft', 'metered', 'none')),
  add column plan_id text default 'free', -- every row so far is of that plan
  add column anchor_at timestamptz,
  add column reported numeric(20, 9) not null default 0 check (reported >= 0);
alter table free_tier_usage alter column plan_id drop default;
create index free_tier_usage_metered on free_tier_usage (tenant_id, usage_type) where mode = 'metered';
alter table ops.free_tier_periods
  add column mode text not null default 'hard' check (mode in ('hard', 'soft', 'metered', 'none')),
  add column plan_id text,
  add column reported numeric(20, 9) not null default 0 check (reported >= 0);
create index free_tier_periods_unreported on ops.free_tier_periods (tenant_id, usage_type, period_start)
  where mode = 'metered' and used >= usage_limit + reported + 1;

-- What was reported to Stripe's meters: of a billing period, each window the part of the billable use that no earlier one has.
-- reported_at: the time that Stripe was told. unknown: it was sent, and whether Stripe has it could not be found out.
create table ops.meter_windows (
  tenant_id    text not null,
  window_id    uuid not null,
  usage_type   text not null,
  period_start timestamptz not null,
  period_end   timestamptz not null,
  amount       bigint not null check (amount > 0),
  status       text not null default 'pending' check (status in ('pending', 'sent', 'refused', 'unknown')),
  event_name   text not null,
  meter_id     text,
  reported_at  timestamptz,
  sent_at      timestamptz,
  attempts     integer not null default 0,
  error        text,
  created_at   timestamptz not null default now(),
  primary key (tenant_id, window_id)
);
call ops.isolate_tenant('ops.meter_windows');
create index meter_windows_reported on ops.meter_windows (tenant_id, event_name, reported_at);
create index meter_windows_page on ops.meter_windows (created_at desc, window_id desc);
create index meter_windows_pending on ops.meter_windows (created_at, window_id) where status = 'pending';
create index meter_windows_failed on ops.meter_windows (created_at desc, window_id desc) where status in ('refused', 'unknown');

-- A threshold of a limit is told once a period. user_id '' is the whole tenant.
create table ops.usage_thresholds (
  tenant_id    text not null,
  user_id      text not null default '',
  usage_type   text not null,
  reset_period text not null,
  period_start timestamptz not null,
  threshold    smallint not null,
  reached_at   timestamptz not null,
  primary key (tenant_id, user_id, usage_type, reset_period, period_start, threshold)
);
call ops.isolate_tenant('ops.usage_thresholds');

grant select on billing_invoices, billing_payments, payment_methods, promotional_codes to comply_app;
-- A checkout reserves a use in its own transaction: it counts, and changes nothing else of a code.
grant update (current_uses, updated_at) on promotional_codes to comply_app;
grant select, insert, update, delete on promotional_code_usage to comply_app;
grant select, insert, update on ops.stripe_customers, ops.checkout_sessions to comply_app;
grant select on ops.usage_thresholds to comply_app;
grant select, insert, update on billing_invoices, billing_payments, payment_methods, promotional_codes, ops.plan_prices to comply_jobs;
grant select, insert, update, delete on promotional_code_usage, ops.checkout_sessions, stripe_events to comply_jobs;
grant select, insert, update on ops.stripe_customers, ops.stripe_mismatches, ops.meter_windows to comply_jobs;
grant select, insert, delete on ops.usage_thresholds to comply_jobs;
grant select on billing_invoices, billing_payments, promotional_codes, promotional_code_usage to comply_readonly;
