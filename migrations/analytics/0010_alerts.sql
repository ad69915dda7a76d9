-- phase: expand
-- What tenants want to be told of, and what came of it.

create table alert_configs (
  tenant_id         text not null,
  config_id         uuid not null,
  name              text not null,
  description       text,
  condition         jsonb not null,
  severity          text not null check (severity in ('low', 'medium', 'high', 'critical')),
  cooldown_minutes  integer not null check (cooldown_minutes between 0 and 10080),
  is_active         boolean not null default true,
  last_triggered_at timestamptz,
  -- When the last alert ended. The cool-down begins there.
  last_ended_at     timestamptz,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  version           integer not null default 1,
  primary key (tenant_id, config_id),
  unique (tenant_id, name)
);
call ops.isolate_tenant('alert_configs');
create index alert_configs_page on alert_configs (tenant_id, created_at, config_id);
-- In the order in which the evaluator walks over all tenants.
create index alert_configs_active on alert_configs (tenant_id, config_id) where is_active;

-- No foreign key to the configuration: an alert stays when its configuration is deleted, and has a copy of what it was raised by.
create table alert_history (
  tenant_id       text not null,
  alert_id        uuid not null,
  config_id       uuid not null,
  config_name     text not null,
  condition       jsonb not null,
  severity        text not null check (severity in ('low', 'medium', 'high', 'critical')),
  status          text not null check (status in ('triggered', 'acknowledged', 'resolved')),
  measured_value  double precision not null,
  sample_count    integer check (sample_count >= 0),
  triggered_at    timestamptz not null,
  acknowledged_at timestamptz,
  acknowledged_by text,
  resolved_at     timestamptz,
  resolved_by     text,
  resolution      text check (resolution in ('recovered', 'by_person', 'config_deleted', 'config_inactive')),
  created_at      timestamptz not null default now(),
  primary key (tenant_id, alert_id),
  check ((acknowledged_at is null) = (acknowledged_by is null)),
  check (status <> 'acknowledged' or acknowledged_at is not null),
  check ((status = 'resolved') = (resolved_at is not null)),
  check ((status = 'resolved') = (resolution is not null)),
  check ((resolved_by is not null) = (resolution is not null and resolution = 'by_person'))
);
call ops.isolate_tenant('alert_history');
-- At most one open alert of a configuration, also where two evaluators run at once.
create unique index alert_history_open on alert_history (tenant_id, config_id) where status <> 'resolved';
create index alert_history_page on alert_history (tenant_id, triggered_at, alert_id);
create index alert_history_status on alert_history (tenant_id, status, triggered_at, alert_id);
create index alert_history_config on alert_history (tenant_id, config_id, triggered_at, alert_id);
create index alert_history_old on alert_history (resolved_at) where status = 'resolved';

grant select, insert, update, delete on alert_configs to comply_app;
grant select, update on alert_history to comply_app;
grant select, update on alert_configs to comply_jobs;
grant select, insert, update, delete on alert_history to comply_jobs;
