-- phase: expand
-- The health of the service and of what it depends on: a row for each service and check at each minute, and their counts by hour and
-- day, so that 90 days are read from a few rows. The platform's own rows: requests have no right here.

create table system_health (
  id           uuid not null primary key,
  service_name text not null,
  check_type   text not null check (check_type in ('ping', 'readiness')),
  status       text not null check (status in ('healthy', 'degraded', 'unhealthy')),
  score        double precision not null check (score between 0 and 1),
  -- Null without an answer.
  latency_ms   double precision check (latency_ms >= 0),
  details      jsonb not null default '{}',
  -- The minute. Two probes of one minute are one row.
  checked_at   timestamptz not null,
  -- The first check of the same status without another one in between.
  status_since timestamptz not null,
  created_at   timestamptz not null default now(),
  unique (service_name, check_type, checked_at)
);
-- In the order of its lists, by each filter; the first also serves the sweep of old rows.
create index system_health_time on system_health (checked_at, id);
create index system_health_service on system_health (service_name, checked_at, id);
create index system_health_status on system_health (status, checked_at, id);
create index system_health_service_status on system_health (service_name, status, checked_at, id);

create table ops.health_periods (
  service_name text not null,
  granularity  text not null check (granularity in ('hour', 'day')),
  period_start timestamptz not null,
  checks       integer not null check (checks > 0),
  degraded     integer not null check (degraded >= 0),
  unhealthy    integer not null check (unhealthy >= 0),
  primary key (service_name, granularity, period_start),
  check (degraded + unhealthy <= checks)
);
create index health_periods_old on ops.health_periods (period_start);

grant select, insert, delete on system_health to comply_jobs;
grant select, insert, update, delete on ops.health_periods to comply_jobs;
-- The platform's own figures are written by a job.
grant select, insert on performance_metrics to comply_jobs;
