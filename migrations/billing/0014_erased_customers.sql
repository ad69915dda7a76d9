-- phase: expand
-- What Stripe says of a tenant that is erased must make no rows of it again.

-- is_erased: the erasure of the tenant has come to its rows here. Whoever writes what Stripe says locks this row first, so nothing of
-- an object that was fetched before is written after it. It is here, because core need not answer when an event of Stripe comes.
-- customer_deleted_at: when Stripe was first found to have the customer no more.
alter table ops.stripe_customers
  add column is_erased boolean not null default false,
  add column customer_deleted_at timestamptz;
call ops.show_people('ops.stripe_customers', '{tenant_id, stripe_customer_id, first_attempt_at, last_attempt_at,
  change_number, created_at, updated_at, is_erased, customer_deleted_at}');
