-- Plans, subscriptions, usage, and the free tier. Money is integer minor units beside a currency.

create table billing_plans (
  plan_id           text primary key,
  plan_name         text not null,
  plan_type         text not null check (plan_type in ('free', 'trial', 'paid', 'enterprise')),
  price_monthly     bigint not null default 0 check (price_monthly >= 0),
  price_yearly      bigint not null default 0 check (price_yearly >= 0),
  currency          text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
  features          jsonb not null default '{}',
  limits            jsonb not null default '{}',
  stripe_price_id   text,
  stripe_product_id text,
  is_active         boolean not null default true,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  version           integer not null default 1
);
insert into billing_plans (plan_id, plan_name, plan_type, price_monthly, price_yearly, limits) values
  ('free', 'Free', 'free', 0, 0, '{"api_calls": 1000, "storage_gb": 1, "detector_runs": 500, "analysis_runs": 10}'),
  ('starter', 'Starter', 'paid', 2900, 29000, '{"api_calls": 50000, "storage_gb": 10, "detector_runs": 25000, "analysis_runs": 500}'),
  ('professional', 'Professional', 'paid', 9900, 99000, '{"api_calls": 500000, "storage_gb": 100, "detector_runs": 250000, "analysis_runs": 5000}'),
  ('enterprise', 'Enterprise', 'enterprise', 29900, 299000, '{}'),
  ('white_glove_basic', 'White glove basic', 'enterprise', 99900, 999000, '{}'),
  ('white_glove_standard', 'White glove standard', 'enterprise', 199900, 1999000, '{}'),
  ('white_glove_premium', 'White glove premium', 'enterprise', 499900, 4999000, '{}');

create table user_subscriptions (
  tenant_id              text not null,
  subscription_id        uuid not null,
  user_id                text not null default '',
  plan_id                text not null references billing_plans,
  status                 text not null check (status in ('active', 'trialing', 'past_due', 'paused', 'canceled', 'unpaid', 'incomplete', 'incomplete_expired')),
  billing_cycle          text not null default 'monthly' check (billing_cycle in ('monthly', 'yearly')),
  current_period_start   timestamptz not null,
  current_period_end     timestamptz not null,
  trial_start            timestamptz,
  trial_end              timestamptz,
  stripe_subscription_id text,
  stripe_customer_id     text,
  created_at             timestamptz not null default now(),
  updated_at             timestamptz not null default now(),
  version                integer not null default 1,
  primary key (tenant_id, subscription_id),
  check (current_period_end > current_period_start)
);
create unique index user_subscriptions_one_live on user_subscriptions (tenant_id)
  where status in ('active', 'trialing', 'past_due', 'paused', 'unpaid', 'incomplete');
create unique index user_subscriptions_stripe on user_subscriptions (tenant_id, stripe_subscription_id)
  where stripe_subscription_id is not null;
call ops.wall('user_subscriptions');

create table usage_records (
  tenant_id            text not null,
  id                   uuid not null,
  event_source         text not null,
  event_id             text not null,
  user_id              text not null default '',
  subscription_id      uuid,
  usage_type           text not null,
  usage_amount         numeric(20, 9) not null check (usage_amount >= 0),
  usage_unit           text not null,
  resource_type        text,
  resource_id          text,
  occurred_at          timestamptz not null,
  received_at          timestamptz not null default now(),
  billing_period_start timestamptz not null,
  billing_period_end   timestamptz not null,
  created_at           timestamptz not null default now(),
  primary key (tenant_id, id, occurred_at),
  unique (tenant_id, event_source, event_id, occurred_at)
) partition by range (occurred_at);
call ops.wall('usage_records');
create index usage_records_period on usage_records (tenant_id, usage_type, occurred_at);
do $$ begin
  perform ops.make_partition('usage_records', 'month', (date_trunc('month', current_date) + n * interval '1 month')::date)
    from generate_series(-1, 3) n;
end $$;

-- What a tenant has used of a free allowance in the running period. user_id '' counts for the whole tenant.
-- reserved: admitted at the door, its usage event still on the way.
create table free_tier_usage (
  tenant_id     text not null,
  user_id       text not null default '',
  usage_type    text not null,
  reset_period  text not null default 'monthly' check (reset_period in ('daily', 'weekly', 'monthly', 'yearly')),
  current_usage numeric(20, 9) not null default 0 check (current_usage >= 0),
  reserved      numeric(20, 9) not null default 0 check (reserved >= 0),
  usage_limit   numeric(20, 9) not null check (usage_limit >= 0),
  anchor_date   date not null,
  anchor_day    smallint not null generated always as (extract(day from anchor_date)) stored,
  last_reset_at timestamptz not null,
  next_reset_at timestamptz not null,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer not null default 1,
  primary key (tenant_id, user_id, usage_type, reset_period),
  check (next_reset_at > last_reset_at)
);
call ops.wall('free_tier_usage');
create index free_tier_usage_due on free_tier_usage (next_reset_at);

-- What was admitted at the door and not yet metered. Keyed by the request, so that an abandoned one can be told from a slow one.
create table ops.usage_reservations (
  tenant_id      text not null,
  reservation_id uuid not null,
  usage_type     text not null,
  amount         numeric(20, 9) not null check (amount > 0),
  created_at     timestamptz not null,
  primary key (tenant_id, reservation_id, usage_type)
);
call ops.wall('ops.usage_reservations');
create index usage_reservations_age on ops.usage_reservations (created_at);

-- Every finished free-tier period, the missed ones too. The key is what keeps a reset from being applied twice.
create table ops.free_tier_periods (
  tenant_id    text not null,
  user_id      text not null,
  usage_type   text not null,
  reset_period text not null,
  period_start timestamptz not null,
  period_end   timestamptz not null,
  used         numeric(20, 9) not null,
  usage_limit  numeric(20, 9) not null,
  recorded_at  timestamptz not null default now(),
  primary key (tenant_id, user_id, usage_type, reset_period, period_start)
);
call ops.wall('ops.free_tier_periods');

grant select on billing_plans to comply_app, comply_readonly;
grant select, insert, update on billing_plans to comply_jobs;
grant select on user_subscriptions, usage_records to comply_app;
grant select, update on free_tier_usage to comply_app;
grant select, insert, delete on ops.usage_reservations to comply_app;
grant select on ops.free_tier_periods to comply_app;
grant select, insert, update on user_subscriptions, free_tier_usage, ops.free_tier_periods to comply_jobs;
grant select, insert on usage_records to comply_jobs;
grant select, insert, update, delete on ops.usage_reservations to comply_jobs;
