-- What the API serves of metrics: usage gets ids to read it by and an index in the order of its lists; services write
-- how they perform. Both are ordered by the time of the measurement, not of its arrival.

alter table usage_metrics add column id uuid not null default gen_random_uuid();
alter table usage_metrics add unique (tenant_id, id);
create index usage_metrics_time on usage_metrics (tenant_id, period_start, id);

create table performance_metrics (
  tenant_id    text not null,
  id           uuid not null,
  service_name text not null,
  metric_name  text not null,
  metric_value double precision not null,
  metric_unit  text,
  instance_id  text,
  measured_at  timestamptz not null,
  metadata     jsonb not null default '{}',
  created_at   timestamptz not null default now(),
  primary key (tenant_id, id)
);
call ops.wall('performance_metrics');
create index performance_metrics_time on performance_metrics (tenant_id, measured_at, id);

grant select, insert on performance_metrics to comply_app;
