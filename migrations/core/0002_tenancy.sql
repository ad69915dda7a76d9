-- Tenants, their settings, their keys, and the machinery that every write uses.

create table tenants (
  tenant_id    text primary key check (tenant_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  name         text not null,
  status       text not null default 'active' check (status in ('active', 'suspended', 'offboarding', 'erased')),
  plan_id      text not null default 'free',
  data_key_id  uuid,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  version      integer not null default 1
);

create table tenant_configs (
  tenant_id             text primary key references tenants,
  config_data           jsonb not null default '{}',
  azure_subscription_id text,
  azure_resource_group  text,
  azure_region          text not null default 'eastus',
  azure_key_vault_url   text,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  version               integer not null default 1
);
call ops.wall('tenant_configs');

create table api_keys (
  tenant_id           text not null references tenants,
  key_id              text not null,
  key_name            text not null,
  key_hash            bytea not null,
  key_prefix          text not null,
  permissions         jsonb not null default '[]',
  rate_limit_per_hour integer not null default 1000 check (rate_limit_per_hour > 0),
  rate_limit_per_day  integer not null default 10000 check (rate_limit_per_day > 0),
  is_active           boolean not null default true,
  last_used_at        timestamptz,
  expires_at          timestamptz,
  revoked_at          timestamptz,
  replaced_by         text,
  created_by          text,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  version             integer not null default 1,
  primary key (tenant_id, key_id)
);
call ops.wall('api_keys');
-- A credential names its key before its tenant is known; the jobs role alone looks keys up this way. Not unique:
-- a unique key without the tenant would tell one tenant what another has. Ids are 96 random bits.
create index api_keys_by_id on api_keys (key_id);
create index api_keys_page on api_keys (tenant_id, created_at desc, key_id desc);

-- A tenant's data keys, wrapped by a version of the key-encryption key. Destroying one (wrapped_key NULL) is erasure.
create table ops.data_keys (
  tenant_id    text not null references public.tenants,
  key_id       uuid not null,
  wrapped_key  bytea,
  wrapped_with text not null,
  created_at   timestamptz not null default now(),
  rewrapped_at timestamptz,
  destroyed_at timestamptz,
  primary key (tenant_id, key_id),
  check ((wrapped_key is null) = (destroyed_at is not null))
);
call ops.wall('ops.data_keys');

-- First answers by Idempotency-Key, for 24 hours. Written in the transaction of the effect.
create table ops.idempotency (
  tenant_id   text not null,
  route       text not null,
  key         text not null,
  fingerprint bytea not null,
  status      smallint not null,
  headers     jsonb not null default '{}',
  body        text,
  created_at  timestamptz not null default now(),
  expires_at  timestamptz not null,
  primary key (tenant_id, route, key)
);
call ops.wall('ops.idempotency');
create index idempotency_expiry on ops.idempotency using brin (expires_at);

-- What a write causes elsewhere: CloudEvents to publish, in the transaction of the write. Deleted once the broker has them.
create table ops.outbox (
  id         uuid primary key,
  tenant_id  text not null,
  events     jsonb not null,
  created_at timestamptz not null default now()
);
alter table ops.outbox enable row level security;
alter table ops.outbox force row level security;
create policy tenant_isolation on ops.outbox for all to public
  using (tenant_id = nullif(current_setting('app.current_tenant_id', true), ''))
  with check (tenant_id = nullif(current_setting('app.current_tenant_id', true), ''));
create policy jobs_cross_tenants on ops.outbox for all to comply_jobs using (true) with check (true);

-- Messages that can never be processed as they are: why, and what they were.
create table ops.quarantine (
  id           uuid primary key,
  queue        text not null,
  identity     bytea not null,
  tenant_id    text,
  reason       text not null,
  detail       jsonb not null default '[]',
  message_id   text,
  body         bytea not null,
  properties   jsonb not null default '{}',
  status       text not null default 'open' check (status in ('open', 'replayed', 'discarded')),
  attempts     integer not null default 0,
  created_at   timestamptz not null default now(),
  resolved_at  timestamptz,
  resolved_by  text,
  resolution   text,
  unique (queue, identity)
);
create index quarantine_page on ops.quarantine (created_at desc, id desc);

-- Where each timer stands, and who may run now (the row is the lock's name; the lock itself is advisory).
create table ops.watermarks (
  job        text primary key,
  position   jsonb not null default '{}',
  updated_at timestamptz not null default now()
);

grant select on tenants to comply_app, comply_readonly;
grant select, insert, update on tenants to comply_jobs;
grant select, insert, update on tenant_configs, api_keys to comply_app, comply_jobs;
grant select, insert, update on ops.data_keys to comply_jobs;
grant select on ops.data_keys to comply_app;
grant select, insert, update on ops.idempotency to comply_app;
grant select, insert, update, delete on ops.idempotency to comply_jobs;
grant insert on ops.outbox to comply_app;
grant select, insert, delete on ops.outbox to comply_jobs;
grant select, insert, update on ops.quarantine, ops.watermarks to comply_jobs;
