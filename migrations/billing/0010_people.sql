-- phase: expand
-- What people may read: views without content, and exactly those columns of the tables behind them.
--
-- The views are security_invoker: a person reads with the person's own rights, and row security applies to the person.
-- So the columns that the tables grant are the limit, and a view only gives them a name that "select *" works with.
-- A view with its owner's rights would need an owner whom row security does not bind. security_barrier is not
-- needed: no view has a condition that a function of a query could see past, and row security is itself such a barrier.
--
-- A column that is not named here stays hidden. tests/people.test.ts fails for each new column until it is decided.

create schema people;
grant usage on schema people to comply_readonly;

-- The grants of whole tables that this replaces.
-- allow removal-in-contract: only people use this role, and no build
revoke all on all tables in schema public from comply_readonly;
-- allow removal-in-contract: as above
revoke usage on schema public from comply_readonly;

-- Lets people read these columns of a table, and replaces what they could read of it before. A person sees the rows of all
-- tenants, or of the one in app.current_tenant_id if the session sets it.
create procedure ops.show_people(target regclass, columns text[]) language plpgsql as $body$
declare
  named  text := (select relname from pg_class where oid = target);
  listed text := (select string_agg(format('%I', name), ', ' order by place)
                  from unnest(columns) with ordinality as given (name, place));
begin
  execute format('drop view if exists people.%I', named);
  execute format('revoke all on %s from comply_readonly', target);
  execute format('grant select (%s) on %s to comply_readonly', listed, target);
  execute format('create view people.%I with (security_invoker = true) as select %s from %s', named, listed, target);
  execute format('grant select on people.%I to comply_readonly', named);
  if (select relrowsecurity from pg_class where oid = target)
     and not exists (select from pg_policy where polrelid = target and polname = 'people_read') then
    execute format($policy$create policy people_read on %s for select to comply_readonly
      using (tenant_id = coalesce(nullif(current_setting('app.current_tenant_id', true), ''), tenant_id))$policy$, target);
  end if;
end $body$;
revoke all on procedure ops.show_people(regclass, text[]) from public;

-- Plans, subscriptions and use. A user's id may be an e-mail address: hidden everywhere.
call ops.show_people('billing_plans', '{plan_id, plan_name, plan_type, price_monthly, price_yearly, currency, features, limits,
  stripe_price_id, stripe_product_id, is_active, created_at, updated_at, version, stripe_price_id_yearly, limit_policies,
  allowances, stripe_meters, trial_days, synced_at}');
call ops.show_people('user_subscriptions', '{tenant_id, subscription_id, plan_id, status, billing_cycle,
  current_period_start, current_period_end, trial_start, trial_end, stripe_subscription_id, stripe_customer_id, created_at,
  updated_at, version, stripe_status, stripe_item_id, stripe_price_id, cancel_at_period_end, cancel_at, canceled_at,
  ended_at, billing_cycle_anchor, past_due_since, promotional_code, synced_at}');
call ops.show_people('usage_records', '{tenant_id, id, subscription_id, usage_type, usage_amount, usage_unit, resource_type,
  occurred_at, received_at, billing_period_start, billing_period_end, created_at}');
call ops.show_people('free_tier_usage', '{tenant_id, usage_type, reset_period, current_usage, reserved, usage_limit,
  anchor_date, anchor_day, last_reset_at, next_reset_at, created_at, updated_at, version, mode, plan_id, anchor_at,
  reported}');

-- Money. Never Stripe's own pages: whoever has the address of one sees the customer's e-mail and address.
call ops.show_people('billing_invoices', '{tenant_id, invoice_id, subscription_id, invoice_number, status, billing_reason,
  currency, subtotal, discount, tax, total, amount_due, amount_paid, amount_remaining, period_start, period_end, due_at,
  finalized_at, paid_at, voided_at, attempt_count, next_payment_attempt_at, stripe_invoice_id, stripe_subscription_id,
  stripe_payment_intent_id, synced_at, created_at, updated_at, version}');
call ops.show_people('billing_payments', '{tenant_id, payment_id, invoice_id, amount, currency, status, failure_code,
  refunded_amount, dispute_status, payment_method_type, card_brand, card_last_four, stripe_payment_intent_id,
  stripe_charge_id, paid_at, synced_at, created_at, updated_at, version}');
call ops.show_people('payment_methods', '{tenant_id, payment_method_id, type, card_brand, card_last_four, card_exp_month,
  card_exp_year, is_default, is_active, stripe_payment_method_id, synced_at, created_at, updated_at, version}');
call ops.show_people('promotional_codes', '{code, description, discount_type, discount_value, currency, duration,
  duration_in_months, max_uses, current_uses, valid_from, valid_until, applicable_plans, stripe_coupon_id,
  stripe_promotion_code_id, synced_at, is_active, created_at, updated_at, version}');
call ops.show_people('promotional_code_usage', '{tenant_id, code, subscription_id, status, checkout_session_id, reserved_at,
  used_at, discount_applied, currency, created_at, updated_at}');

-- Stripe's events, without what they contain.
call ops.show_people('stripe_events', '{event_id, type, api_version, livemode, object_type, object_id, tenant_id, created,
  found_by, status, attempts, next_attempt_at, processed_at, received_at, created_at, updated_at}');

-- How billing does: what waits, what differs from Stripe, what was reported.
call ops.show_people('ops.checkout_sessions', '{tenant_id, checkout_id, plan_id, billing_cycle, promotional_code, status,
  created_at, expires_at}');
call ops.show_people('ops.free_tier_periods', '{tenant_id, usage_type, reset_period, period_start, period_end, used,
  usage_limit, recorded_at, mode, plan_id, reported}');
call ops.show_people('ops.meter_windows', '{tenant_id, window_id, usage_type, period_start, period_end, amount, status,
  event_name, meter_id, reported_at, sent_at, attempts, created_at}');
call ops.show_people('ops.outbox', '{id, tenant_id, created_at}');
call ops.show_people('ops.plan_prices', '{stripe_price_id, plan_id, kind, billing_cycle, usage_type, currency,
  unit_amount_decimal, is_current, archived_at, created_at, updated_at}');
call ops.show_people('ops.stripe_customers', '{tenant_id, stripe_customer_id, first_attempt_at, last_attempt_at,
  change_number, created_at, updated_at}');
call ops.show_people('ops.stripe_mismatches', '{mismatch_id, kind, object_type, object_id, tenant_id, found_at, last_seen_at,
  resolved_at}');
call ops.show_people('ops.usage_reservations', '{tenant_id, reservation_id, usage_type, amount, created_at}');
call ops.show_people('ops.usage_thresholds', '{tenant_id, usage_type, reset_period, period_start, threshold, reached_at}');
