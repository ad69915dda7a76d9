-- phase: expand
-- Outgoing webhooks: where a tenant wants to be told what happened, and each message with what became of it. Machinery, not evidence.

-- secret, old_secret: sealed under the tenant's data key. Until old_secret_expires_at, messages are signed with both. managed_by: the
-- endpoint of the tenant's own configuration (`callback`). failing_since: the first failure since the last success.
create table ops.webhook_endpoints (
  tenant_id             text not null,
  endpoint_id           uuid not null,
  url                   text not null,
  event_types           jsonb not null,
  description           text,
  is_active             boolean not null default true,
  managed_by            text check (managed_by = 'tenant_config'),
  disabled_reason       text check (disabled_reason in ('failing', 'gone')),
  disabled_at           timestamptz,
  failing_since         timestamptz,
  last_success_at       timestamptz,
  secret                bytea not null,
  secret_key_id         uuid not null,
  old_secret            bytea,
  old_secret_key_id     uuid,
  old_secret_expires_at timestamptz,
  created_by            text not null,
  created_at            timestamptz not null,
  updated_at            timestamptz not null,
  version               integer not null default 1,
  primary key (tenant_id, endpoint_id),
  check (disabled_reason is null or not is_active),
  check ((disabled_reason is null) = (disabled_at is null)),
  check (num_nulls(old_secret, old_secret_key_id, old_secret_expires_at) in (0, 3))
);
call ops.isolate_tenant('ops.webhook_endpoints');
create unique index webhook_endpoints_managed on ops.webhook_endpoints (tenant_id) where managed_by is not null;
create index webhook_endpoints_page on ops.webhook_endpoints (tenant_id, created_at, endpoint_id);

-- delivery_id is derived from the event and the endpoint, so an event that comes twice makes one row. It has no foreign key: a
-- delivery outlives its endpoint, and is then cancelled. payload: the exact text that is signed. next_attempt_at: when the timer
-- queues it again, also while a message for it is on its way. give_up_at: a day after the first attempt.
create table ops.webhook_deliveries (
  tenant_id       text not null,
  delivery_id     uuid not null,
  endpoint_id     uuid not null,
  event_id        text not null,
  event_type      text not null,
  payload         text not null,
  status          text not null default 'pending' check (status in ('pending', 'delivered', 'failed', 'cancelled')),
  attempts        integer not null default 0,
  next_attempt_at timestamptz,
  give_up_at      timestamptz,
  last_attempt_at timestamptz,
  outcome         text,
  response_status smallint,
  delivered_at    timestamptz,
  created_at      timestamptz not null,
  primary key (tenant_id, delivery_id),
  check ((status = 'pending') = (next_attempt_at is not null))
);
call ops.isolate_tenant('ops.webhook_deliveries');
create index webhook_deliveries_page on ops.webhook_deliveries (tenant_id, created_at, delivery_id);
create index webhook_deliveries_endpoint on ops.webhook_deliveries (tenant_id, endpoint_id, created_at, delivery_id);
create index webhook_deliveries_due on ops.webhook_deliveries (next_attempt_at) where status = 'pending';
create index webhook_deliveries_age on ops.webhook_deliveries (created_at);

grant select, insert, update, delete on ops.webhook_endpoints to comply_app;
grant select, insert, update on ops.webhook_deliveries to comply_app;
grant select, update on ops.webhook_endpoints to comply_jobs;
grant select, insert, update, delete on ops.webhook_deliveries to comply_jobs;

-- Never the address, which may have a token in its path, nor what was sent.
call ops.show_people('ops.webhook_endpoints', '{tenant_id, endpoint_id, event_types, is_active, managed_by, disabled_reason, disabled_at,
  failing_since, last_success_at, old_secret_expires_at, created_at, updated_at, version}');
call ops.show_people('ops.webhook_deliveries', '{tenant_id, delivery_id, endpoint_id, event_id, event_type, status, attempts,
  next_attempt_at, give_up_at, last_attempt_at, outcome, response_status, delivered_at, created_at}');
