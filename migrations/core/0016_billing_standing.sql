-- What every request has to know of a tenant's billing. The billing database owns these facts; the event `billing.changed` carries
-- them here. has_quota: the plan refuses what is beyond a limit, so writes reserve. billing_standing: `grace` works in full and is
-- told so, `read_only` reads.

alter table tenants
  add column has_quota boolean not null default true,
  add column billing_standing text not null default 'good' check (billing_standing in ('good', 'grace', 'read_only')),
  add column billing_grace_ends_at timestamptz,
  add check ((billing_standing = 'grace') = (billing_grace_ends_at is not null));

-- The plans that had no quota until now. From here on, a plan's type and its limits say it.
update tenants set has_quota = false
 where plan_id in ('starter', 'professional', 'enterprise', 'white_glove_basic', 'white_glove_standard', 'white_glove_premium');

-- The timer finds the tenants whose grace is over in this order.
create index tenants_grace on tenants (billing_grace_ends_at, tenant_id) where billing_standing = 'grace';
