-- Usage rolled up by the hour and by the day, and the ledger that keeps a redelivered event from counting twice.

create table usage_metrics (
  tenant_id    text not null,
  metric_name  text not null,
  granularity  text not null check (granularity in ('hour', 'day')),
  period_start timestamptz not null,
  metric_unit  text not null default '',
  metric_value numeric(24, 9) not null,
  event_count  bigint not null,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  primary key (tenant_id, metric_name, granularity, period_start, metric_unit)
);
call ops.wall('usage_metrics');

create table ops.consumed_events (
  tenant_id    text not null,
  event_source text not null,
  event_id     text not null,
  consumed_at  timestamptz not null default now(),
  primary key (tenant_id, event_source, event_id)
);
call ops.wall('ops.consumed_events');
create index consumed_events_age on ops.consumed_events using brin (consumed_at);

grant select on usage_metrics to comply_app;
grant select, insert, update on usage_metrics to comply_jobs;
grant select, insert, delete on ops.consumed_events to comply_jobs;
