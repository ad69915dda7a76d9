-- phase: expand
-- The erasure of one person within a tenant: rows that name the person go, or name a pseudonym instead.

-- As before, and only for the erasure of a whole tenant: what empties tables never works for one person's.
create or replace function ops.check_erasure(erasing text, erasure uuid, target text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  of_whole boolean;
begin
  perform set_config('app.current_tenant_id', erasing, true);
  select e.scope = 'tenant' into of_whole from ops.erasures e
   where e.tenant_id = erasing and e.erasure_id = erasure and e.status in ('running', 'completed');
  perform from ops.erasure_places where tenant_id = erasing and erasure_id = erasure and place = target for update;
  if not found or of_whole is distinct from true or erasing = 'platform' then
    raise exception 'no erasure of % has begun in %', erasing, target using errcode = '42501';
  end if;
  if not exists (select from public.tenants where tenant_id = erasing and status = 'erased') then
    raise exception '% is not erased', erasing using errcode = '42501';
  end if;
  lock table public.legal_holds in share mode;
  if exists (select from public.legal_holds where tenant_id = erasing and released_at is null) then
    raise exception '% has a legal hold', erasing using errcode = '55006';
  end if;
end $$;

-- The same for one person's erasure, which runs while the tenant lives.
create function ops.check_person_erasure(erasing text, erasure uuid, target text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('app.current_tenant_id', erasing, true);
  perform from ops.erasure_places where tenant_id = erasing and erasure_id = erasure and place = target for update;
  if not found or erasing = 'platform' or not exists (
    select from ops.erasures e where e.tenant_id = erasing and e.erasure_id = erasure and e.scope = 'person'
       and e.status = 'running') then
    raise exception 'no erasure of a person of % has begun in %', erasing, target using errcode = '42501';
  end if;
  lock table public.legal_holds in share mode;
  if exists (select from public.legal_holds where tenant_id = erasing and released_at is null) then
    raise exception '% has a legal hold', erasing using errcode = '55006';
  end if;
end $$;
revoke all on function ops.check_person_erasure(text, uuid, text) from public;

-- Handles the next rows of a tenant that name a person in one column, and counts them in the place `table.column`. `names` is an array
-- of names whose rows go, or an object with what stands instead of each name; in a column of uuid, `as_id` does. Returns how many were
-- found: 0 is the end. SECURITY DEFINER, and so on: see ops.erase_rows.
create function ops.erase_person(erasing text, erasure uuid, target text, col text, names jsonb, as_id uuid, size integer)
  returns integer
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set lock_timeout = '1s' as $$
declare
  whole regclass := to_regclass(case when target like '%.%' then target else 'public.' || target end);
  removes constant boolean := jsonb_typeof(names) = 'array';
  old   text[];
  part  regclass;
  is_id boolean;
  done_rows bigint := 0;
  found_rows bigint;
begin
  perform ops.check_person_erasure(erasing, erasure, target || '.' || col);
  old := case when removes then array(select jsonb_array_elements_text(names)) else array(select jsonb_object_keys(names)) end;
  select a.atttypid = 'uuid'::regtype into strict is_id from pg_attribute a where a.attrelid = whole and a.attname = col;
  for part in
    select c.oid::regclass from pg_class c
     where c.relkind = 'r' and (c.oid = whole or c.oid in (select relid from pg_partition_tree(whole) where isleaf))
     order by c.relname
  loop
    execute format(case when removes then 'delete from %1$s t ' else 'update %1$s t set %2$I = %3$s ' end ||
      'where t.tenant_id = $1 and t.ctid = any (array(
         select ctid from %1$s where tenant_id = $1 and %2$I::text = any ($2) limit $3))',
      part, col, case when is_id then '$5' else format('$4 ->> t.%I', col) end)
      using erasing, old, size - done_rows, names, as_id;
    get diagnostics found_rows = row_count;
    done_rows := done_rows + found_rows;
    exit when done_rows >= size;
  end loop;
  update ops.erasure_places set done = done + done_rows
   where tenant_id = erasing and erasure_id = erasure and place = target || '.' || col and done_rows > 0;
  return done_rows;
end $$;
revoke all on function ops.erase_person(text, uuid, text, text, jsonb, uuid, integer) from public;
grant execute on function ops.erase_person(text, uuid, text, text, jsonb, uuid, integer) to comply_jobs;

-- As before, also for one person's erasure. There, entries of others keep the address and the agent of who acted.
create or replace function ops.pseudonymise_entries(erasing text, erasure uuid, entries jsonb) returns integer
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set lock_timeout = '1s' as $$
declare
  changed bigint;
  of_person boolean;
begin
  -- The owner is bound by row security too.
  perform set_config('app.current_tenant_id', erasing, true);
  select e.scope = 'person' into of_person from ops.erasures e where e.tenant_id = erasing and e.erasure_id = erasure;
  if of_person then
    perform ops.check_person_erasure(erasing, erasure, 'audit_logs');
  else
    perform ops.check_erasure(erasing, erasure, 'audit_logs');
  end if;
  if not exists (select from ops.erasures e where e.tenant_id = erasing and e.erasure_id = erasure
                    and e.status = 'running' and e.step = 'audit' and e.pseudonym_key is not null) then
    raise exception 'no erasure of % rewrites the trail', erasing using errcode = '42501';
  end if;
  update public.audit_logs a
     set user_id = g.user_id, actor = g.actor, resource_id = g.resource_id, details = g.details,
         ip_address = case when of_person and g.keeps_origin then a.ip_address end,
         user_agent = case when of_person and g.keeps_origin then a.user_agent end,
         canonical = convert_to(g.canonical, 'UTF8'), leaf_hash = sha256('\x00'::bytea || convert_to(g.canonical, 'UTF8'))
    from jsonb_to_recordset(entries) as g (id uuid, created_at timestamptz, user_id text, actor text, resource_id text,
      details jsonb, canonical text, keeps_origin boolean)
   where a.tenant_id = erasing and a.id = g.id and a.created_at = g.created_at;
  get diagnostics changed = row_count;
  update ops.erasure_places set done = done + changed
   where tenant_id = erasing and erasure_id = erasure and place = 'audit_logs';
  return changed;
end $$;
