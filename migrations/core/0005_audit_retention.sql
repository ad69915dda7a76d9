-- The audit trail, append-only by privilege, and what governs how long things stay.

create table audit_logs (
  tenant_id       text not null,
  id              uuid not null,
  event_source    text not null,
  event_id        text not null,
  user_id         text,
  actor           text,
  action          text not null,
  resource_type   text not null,
  resource_id     text,
  details         jsonb not null default '{}',
  outcome         text not null default 'success' check (outcome in ('success', 'denied', 'failure')),
  ip_address      inet,
  user_agent      text,
  trace_id        text,
  azure_region    text not null default 'eastus',
  subscription_id text,
  resource_group  text,
  canonical       bytea not null,
  leaf_hash       bytea not null,
  created_at      timestamptz not null,
  received_at     timestamptz not null default now(),
  primary key (tenant_id, id, created_at),
  unique (tenant_id, event_source, event_id, created_at)
) partition by range (created_at);
call ops.wall('audit_logs');
create index audit_logs_page on audit_logs (tenant_id, created_at desc, id desc);
create index audit_logs_resource on audit_logs (tenant_id, resource_type, resource_id, created_at desc);
create index audit_logs_action on audit_logs (tenant_id, action, created_at desc);
do $$ begin
  perform ops.make_partition('audit_logs', 'month', (date_trunc('month', current_date) + n * interval '1 month')::date)
    from generate_series(-1, 3) n;
end $$;

create table data_retention_policies (
  tenant_id            text not null references tenants,
  policy_id            uuid not null,
  data_type            text not null,
  retention_days       integer not null check (retention_days between 1 and 3650),
  auto_delete          boolean not null default true,
  compliance_framework text,
  description          text,
  is_active            boolean not null default true,
  applied_at           timestamptz,
  created_at           timestamptz not null default now(),
  updated_at           timestamptz not null default now(),
  version              integer not null default 1,
  primary key (tenant_id, policy_id)
);
create unique index data_retention_policies_one_active on data_retention_policies (tenant_id, data_type) where is_active;
call ops.wall('data_retention_policies');

create table legal_holds (
  tenant_id   text not null references tenants,
  hold_id     uuid not null,
  name        text not null,
  reason      text not null,
  scope       jsonb not null,
  placed_by   text not null,
  placed_at   timestamptz not null default now(),
  released_by text,
  released_at timestamptz,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer not null default 1,
  primary key (tenant_id, hold_id)
);
create index legal_holds_open on legal_holds (tenant_id) where released_at is null;
call ops.wall('legal_holds');

create table retention_runs (
  run_id       uuid primary key,
  job          text not null,
  as_of        timestamptz not null,
  started_at   timestamptz not null,
  finished_at  timestamptz,
  status       text not null default 'running' check (status in ('running', 'completed', 'partial', 'failed', 'skipped')),
  cutoff       timestamptz,
  examined     bigint not null default 0,
  deleted      bigint not null default 0,
  kept_on_hold bigint not null default 0,
  not_archived bigint not null default 0,
  bytes        bigint not null default 0,
  details      jsonb not null default '{}',
  error        text,
  cursor       jsonb,
  triggered_by text not null default 'timer',
  created_at   timestamptz not null default now()
);
create index retention_runs_page on retention_runs (started_at desc, run_id desc);
create index retention_runs_by_job on retention_runs (job, started_at desc);

-- One row a blob: its class, tier and the day it may go. What the tier timer works from, without listing a container.
create table ops.blobs (
  tenant_id       text not null,
  container_name  text not null,
  blob_name       text not null,
  retention_class text not null check (retention_class in ('mapping_results', 'audit_logs', 'model_artifacts', 'backups', 'training_data')),
  access_tier     text not null check (access_tier in ('Hot', 'Cool', 'Cold', 'Archive')),
  sha256          bytea not null,
  bytes           bigint not null,
  created_at      timestamptz not null,
  tier_changed_at timestamptz not null,
  next_check_at   timestamptz not null,
  delete_after    timestamptz not null,
  deleted_at      timestamptz,
  primary key (tenant_id, container_name, blob_name)
);
call ops.wall('ops.blobs');
create index blobs_due on ops.blobs (next_check_at) where deleted_at is null;

grant select, insert on audit_logs to comply_jobs;
grant select on audit_logs to comply_app;
grant select, insert, update, delete on data_retention_policies, legal_holds to comply_app;
grant select, insert, update on data_retention_policies, legal_holds to comply_jobs;
grant select, insert, update on retention_runs, ops.blobs to comply_jobs;
grant delete on retention_runs to comply_jobs; -- runs that did nothing; those that did something stay
grant select on ops.blobs to comply_app;
