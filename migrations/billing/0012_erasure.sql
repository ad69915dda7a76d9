-- phase: expand
-- The erasure of a tenant, in this database. The ledger of erasures is in core.

-- What an erasure has done in this database, place by place: a place is a table, or the blobs of a container. `done` grows in the
-- transaction that deletes, so that a run that was killed counts nothing twice and forgets nothing.
create table ops.erasure_places (
  tenant_id   text not null,
  erasure_id  uuid not null,
  place       text not null,
  done        bigint not null default 0,
  finished_at timestamptz,
  primary key (tenant_id, erasure_id, place)
);
call ops.isolate_tenant('ops.erasure_places');
grant select, insert, update on ops.erasure_places to comply_jobs;
call ops.show_people('ops.erasure_places', '{tenant_id, erasure_id, place, done, finished_at}');

-- Refuses what no erasure has begun: a job must have opened the place before. Two runs at once wait for each other here. The owner
-- is bound by row security, so what follows in this transaction reaches this tenant's rows only.
create function ops.check_erasure(erasing text, erasure uuid, target text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('app.current_tenant_id', erasing, true);
  perform from ops.erasure_places where tenant_id = erasing and erasure_id = erasure and place = target for update;
  if not found or erasing = 'platform' then
    raise exception 'no erasure of % has begun in %', erasing, target using errcode = '42501';
  end if;
end $$;

-- Deletes the next rows of a tenant in one table, and counts them in their place. Returns how many were found: 0 is the end. With
-- `before` it deletes only rows that were made earlier. SECURITY DEFINER: no role of the app may delete from every table, and this
-- deletes only where a job has opened a place. Partitions are emptied one by one, and each row is found through its key, whatever the
-- statistics say.
create function ops.erase_rows(erasing text, erasure uuid, target text, size integer, before timestamptz default null)
  returns integer
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set lock_timeout = '1s' as $$
declare
  whole regclass := to_regclass(case when target like '%.%' then target else 'public.' || target end);
  part  regclass;
  gone  bigint := 0;
  found_rows bigint;
begin
  perform ops.check_erasure(erasing, erasure, target);
  for part in
    select c.oid::regclass from pg_class c
     where c.relkind = 'r' and (c.oid = whole or c.oid in (select relid from pg_partition_tree(whole) where isleaf))
     order by c.relname
  loop
    execute format('delete from %1$s where tenant_id = $1 and ctid = any (array(
        select ctid from %1$s where tenant_id = $1 %2$s limit $2))', part,
      case when before is null then '' else 'and created_at < $3' end)
      using erasing, size - gone, before;
    get diagnostics found_rows = row_count;
    gone := gone + found_rows;
    exit when gone >= size;
  end loop;
  update ops.erasure_places set done = done + gone
   where tenant_id = erasing and erasure_id = erasure and place = target and gone > 0;
  return gone;
end $$;

-- Replaces columns of the next rows of a tenant that stay, where they have another value yet, and counts the rows in their place.
create function ops.clear_rows(erasing text, erasure uuid, target text, cleared jsonb, size integer) returns integer
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set lock_timeout = '1s' as $$
declare
  whole   regclass := to_regclass(case when target like '%.%' then target else 'public.' || target end);
  sets    text;
  differs text;
  changed bigint;
begin
  perform ops.check_erasure(erasing, erasure, target);
  select string_agg(format('%1$I = v.%1$I', c), ', '), string_agg(format('t.%1$I is distinct from v.%1$I', c), ' or ')
    into sets, differs from jsonb_object_keys(cleared) c;
  execute format('with v as materialized (select * from jsonb_populate_record(null::%1$s, $2))
      update %1$s t set %2$s from v where t.tenant_id = $1 and (%3$s) and t.ctid = any (array(
        select t.ctid from %1$s t, v where t.tenant_id = $1 and (%3$s) limit $3))', whole, sets, differs)
    using erasing, cleared, size;
  get diagnostics changed = row_count;
  update ops.erasure_places set done = done + changed
   where tenant_id = erasing and erasure_id = erasure and place = target and changed > 0;
  return changed;
end $$;

revoke all on function ops.check_erasure(text, uuid, text) from public;
revoke all on function ops.erase_rows(text, uuid, text, integer, timestamptz) from public;
revoke all on function ops.clear_rows(text, uuid, text, jsonb, integer) from public;
grant execute on function ops.erase_rows(text, uuid, text, integer, timestamptz) to comply_jobs;
grant execute on function ops.clear_rows(text, uuid, text, jsonb, integer) to comply_jobs;
