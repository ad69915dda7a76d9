-- What every table of this database stands on: the machinery's schema, the tenant of the statement, and
-- the functions that make and drop partitions on behalf of roles that own nothing.

create schema if not exists ops;

-- The tenant of the running transaction; NULL when none is set. A pooled connection keeps '' after its first
-- tenant transaction, so '' counts as unset.
create function ops.current_tenant() returns text
  language sql stable parallel safe
  return nullif(current_setting('app.current_tenant_id', true), '');

-- Gives a table the tenant wall: row security that binds its owner too, one policy for requests, one for the
-- jobs that cross tenants.
create procedure ops.wall(target regclass) language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format($p$create policy tenant_isolation on %s for all to public
    using (tenant_id = nullif(current_setting('app.current_tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.current_tenant_id', true), ''))$p$, target);
  execute format('create policy jobs_cross_tenants on %s for all to comply_jobs using (true) with check (true)', target);
end $$;

-- Makes the partition of one day or one month unless it exists, and says whether it did. SECURITY DEFINER: the
-- roles that need it own no table. A partition gets no grant: it is reached through its parent, whose row
-- security guards it.
create function ops.make_partition(parent text, grain text, at date) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  first date := case grain when 'day' then at else date_trunc('month', at::timestamp)::date end;
  past  date := case grain when 'day' then first + 1 else (first + interval '1 month')::date end;
  name  text := parent || case grain when 'day' then to_char(first, '"_d"YYYYMMDD') else to_char(first, '"_m"YYYYMM') end;
begin
  if grain not in ('day', 'month') then
    raise exception 'unknown grain %', grain using errcode = '22023';
  end if;
  if not exists (select from pg_partitioned_table p join pg_class c on c.oid = p.partrelid
                 join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relname = parent) then
    raise exception '% is not a partitioned table', parent using errcode = '42809';
  end if;
  if to_regclass(format('public.%I', name)) is not null then
    return false;
  end if;
  -- One maker at a time, so that two do not race for the same name.
  perform pg_advisory_xact_lock(hashtextextended('make_partition:' || parent, 0));
  if to_regclass(format('public.%I', name)) is not null then
    return false;
  end if;
  execute format('create table public.%I partition of public.%I for values from (%L) to (%L)', name, parent, first, past);
  return true;
end $$;

-- Drops one day's or month's partition by name. Refuses a name that is not a dated partition of that parent, and,
-- for evidence, any partition that still holds an unarchived row. The parent's lock is needed for the drop and is
-- taken first: taken last, it would deadlock with readers on their way from the parent to the partition. The caller
-- bounds the wait with lock_timeout. Without sequential scans the look for unarchived rows costs one index probe,
-- however stale the statistics.
create function ops.drop_partition(parent text, partition text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  unarchived boolean;
begin
  if partition !~ ('^' || parent || '_[dm][0-9]{6,8}$') or not exists (
      select from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = to_regclass(format('public.%I', parent)) and c.relname = partition) then
    raise exception '% is not a dated partition of %', partition, parent using errcode = '22023';
  end if;
  if parent = 'storage_records' then
    execute format('lock table only public.%I in access exclusive mode', parent);
    execute format('lock table public.%I in access exclusive mode', partition);
    execute format('select exists (select from public.%I where archived_at is null)', partition) into unarchived;
    if unarchived then
      raise exception '% holds records that are not archived', partition using errcode = '55006';
    end if;
  end if;
  execute format('drop table public.%I', partition);
end $$;

revoke all on function ops.make_partition(text, text, date) from public;
revoke all on function ops.drop_partition(text, text) from public;
revoke all on procedure ops.wall(regclass) from public;
grant usage on schema ops to comply_app, comply_jobs;
grant execute on function ops.current_tenant() to comply_app, comply_jobs, comply_readonly;
grant execute on function ops.make_partition(text, text, date) to comply_jobs;
grant execute on function ops.drop_partition(text, text) to comply_jobs;
grant usage on schema public to comply_app, comply_jobs, comply_readonly;
