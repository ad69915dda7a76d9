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

call ops.show_people('usage_metrics', '{tenant_id, metric_name, granularity, period_start, metric_unit, metric_value,
  event_count, created_at, updated_at, id}');
call ops.show_people('performance_metrics', '{tenant_id, id, service_name, metric_name, metric_value, metric_unit,
  instance_id, measured_at, created_at}');
call ops.show_people('ops.outbox', '{id, tenant_id, created_at}');

-- The service's health, and that alerts were raised. Never what a tenant calls them or watches.
call ops.show_people('system_health', '{id, service_name, check_type, status, score, latency_ms, checked_at, status_since,
  created_at}');
call ops.show_people('ops.health_periods', '{service_name, granularity, period_start, checks, degraded, unhealthy}');
call ops.show_people('alert_configs', '{tenant_id, config_id, severity, cooldown_minutes, is_active, last_triggered_at,
  last_ended_at, created_at, updated_at, version}');
call ops.show_people('alert_history', '{tenant_id, alert_id, config_id, severity, status, sample_count, triggered_at,
  acknowledged_at, acknowledged_by, resolved_at, resolved_by, resolution, created_at}');
