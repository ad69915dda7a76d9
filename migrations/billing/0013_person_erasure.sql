-- phase: expand
-- The erasure of one person within a tenant, in this database. The ledger of erasures is in core.

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
  perform ops.check_erasure(erasing, erasure, target || '.' || col);
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
