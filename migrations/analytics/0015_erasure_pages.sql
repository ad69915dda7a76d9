-- phase: expand
-- An erasure reads each row once: a batch looks at a bounded number of rows, and the next one goes on where it stopped.

-- Where the walk over a place is: a partition, and the key of its last row or its next block. Null before the first row, and again
-- after the last one.
alter table ops.erasure_places add column position jsonb;

-- Walks over the next rows of a tenant in a table, about `looks` at most, and has its effect where `hit` is true. Where the walk is and
-- what it did are noted in the place, in this transaction. So each call reads a bounded number of rows, however many there are, and
-- none of those before, also not the dead ones. A partition is read in the order of its unique key that begins with the tenant; a
-- table without such a key, block by block. Rows that arrive behind the position are not seen: a search of everything finds them.
-- `is_over`: the end is reached, and the next walk begins at the start. `effect` and `hit` are SQL, so only functions of the owner
-- may call it; `:part` stands for the partition, `$2` is `given`.
create function ops.erase_page(erasing text, erasure uuid, at_place text, target text, effect text, hit text, given jsonb,
    looks integer, out done bigint, out is_over boolean)
  language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
  set enable_incremental_sort = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
declare
  rows_a_block constant integer := 50;
  whole   constant regclass := to_regclass(case when target like '%.%' then target else 'public.' || target end);
  began   jsonb;
  after   jsonb;
  part    record;
  keys    text;
  texts   text;
  bounds  text;
  source  text;
  blocks  bigint;
  first   bigint;
  last    jsonb;
  found_rows bigint;
  changed bigint;
  looked  bigint := 0;
begin
  done := 0;
  select p.position into began from ops.erasure_places p
   where p.tenant_id = erasing and p.erasure_id = erasure and p.place = at_place for update;
  for part in
    select c.oid, c.oid::regclass::text as name, c.relname::text as own_name, k.columns, k.types
      from pg_class c
     cross join lateral (
        select array_agg(a.attname order by n.place) as columns,
               array_agg(format_type(a.atttypid, a.atttypmod) order by n.place) as types
          from unnest((select i.indkey::int2[] from pg_index i
                        where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
                          and i.indexprs is null and i.indnkeyatts = i.indnatts
                          and not exists (select from pg_attribute b where b.attrelid = c.oid
                                             and b.attnum = any (i.indkey::int2[]) and not b.attnotnull)
                          and i.indkey[0] = (select b.attnum from pg_attribute b where b.attrelid = c.oid and b.attname = 'tenant_id')
                        order by i.indisprimary desc, i.indexrelid limit 1)) with ordinality n (number, place)
          join pg_attribute a on a.attrelid = c.oid and a.attnum = n.number) k
     where c.relkind = 'r' and (c.oid = whole or c.oid in (select relid from pg_partition_tree(whole) where isleaf))
       and (began is null or c.relname::text collate "C" >= began ->> 'part')
     order by c.relname::text collate "C"
  loop
    after := case when began ->> 'part' = part.own_name then began -> 'after' end;
    if part.columns is null then
      blocks := pg_relation_size(part.oid) / current_setting('block_size')::bigint;
      first := coalesce((after ->> 0)::bigint, 0);
      found_rows := least(blocks - first, greatest(1, (looks - looked) / rows_a_block));
      last := null;
      continue when found_rows <= 0;
      source := format('select t.ctid as at_row, %s as hit from %s t
          where t.tenant_id = $1 and t.ctid >= %L::tid and t.ctid < %L::tid',
        hit, part.name, format('(%s,0)', first), format('(%s,0)', first + found_rows));
      execute replace(format('with page as materialized (%s), done as (%s returning 1) select count(*) from done', source, effect),
        ':part', part.name) into changed using erasing, given;
      if first + found_rows < blocks then
        last := jsonb_build_array(first + found_rows);
      end if;
      looked := looked + found_rows * rows_a_block;
    else
      -- Without the tenant, which is the same in all rows. A table with one row a tenant has no other column in its key.
      select string_agg(format('t.%I', n.name), ', ' order by n.place), string_agg(format('t.%I::text', n.name), ', ' order by n.place),
             string_agg(format('%L::%s', after ->> (n.place - 2)::integer, n.type), ', ' order by n.place)
        into keys, texts, bounds from unnest(part.columns, part.types) with ordinality n (name, type, place) where n.place > 1;
      source := format('select t.ctid as at_row, %s as hit, jsonb_build_array(%s) as key from %s t where t.tenant_id = $1 ',
        hit, texts, part.name);
      if after is not null then
        source := source || coalesce(format('and (%s) > (%s)', keys, bounds), 'and false');
      end if;
      source := source || coalesce(' order by ' || keys, '') || format(' limit %s', greatest(1, looks - looked));
      execute replace(format('with page as materialized (%s), done as (%s returning 1)
          select (select count(*) from page), (select count(*) from done),
                 (select key from page offset greatest((select count(*) from page) - 1, 0) limit 1)', source, effect),
        ':part', part.name) into found_rows, changed, last using erasing, given;
      if found_rows < greatest(1, looks - looked) then
        last := null;
      end if;
      looked := looked + found_rows;
    end if;
    done := done + changed;
    if last is not null then
      last := jsonb_build_object('part', part.own_name, 'after', last);
      exit;
    end if;
  end loop;
  is_over := last is null;
  update ops.erasure_places p set done = p.done + erase_page.done, position = last
   where p.tenant_id = erasing and p.erasure_id = erasure and p.place = at_place;
end $$;
revoke all on function ops.erase_page(text, uuid, text, text, text, text, jsonb, integer) from public;

-- Deletes the next rows of a tenant in one table. With `before` only those that were made earlier. SECURITY DEFINER: see ops.erase_rows,
-- which did the same from the first row in each batch.
create function ops.erase_rows_page(erasing text, erasure uuid, target text, looks integer, before timestamptz default null,
    out done bigint, out is_over boolean)
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
begin
  perform ops.check_erasure(erasing, erasure, target);
  select p.done, p.is_over into done, is_over from ops.erase_page(erasing, erasure, target, target,
    'delete from :part t where t.tenant_id = $1 and t.ctid = any (array(select at_row from page where hit))',
    case when before is null then 'true' else 't.created_at < ($2 ->> ''before'')::timestamptz' end,
    jsonb_build_object('before', before), looks) p;
end $$;

-- Replaces columns of the next rows of a tenant that stay, where they have another value.
create function ops.clear_rows_page(erasing text, erasure uuid, target text, cleared jsonb, looks integer,
    out done bigint, out is_over boolean)
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  sets    text;
  differs text;
begin
  perform ops.check_erasure(erasing, erasure, target);
  select string_agg(format('%1$I = (select v.%1$I from jsonb_populate_record(null:::part, $2) v)', c), ', '),
         string_agg(format('t.%1$I is distinct from (select v.%1$I from jsonb_populate_record(null:::part, $2) v)', c), ' or ')
    into sets, differs from jsonb_object_keys(cleared) c;
  select p.done, p.is_over into done, is_over from ops.erase_page(erasing, erasure, target, target,
    format('update :part t set %s where t.tenant_id = $1 and t.ctid = any (array(select at_row from page where hit))', sets),
    differs, cleared, looks) p;
end $$;

-- Handles the next rows of a tenant in which one column names a person, in the place `table.column`: see ops.erase_person, which
-- looked through all rows in each batch. `names` is an array of names whose rows go, or an object with what stands instead of each
-- name; in a column of uuid, `as_id` does.
create function ops.erase_person_page(erasing text, erasure uuid, target text, col text, names jsonb, as_id uuid, looks integer,
    out done bigint, out is_over boolean)
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  removes constant boolean := jsonb_typeof(names) = 'array';
  is_id boolean;
begin
  perform ops.check_erasure(erasing, erasure, target || '.' || col);
  select a.atttypid = 'uuid'::regtype into strict is_id from pg_attribute a
   where a.attrelid = to_regclass(case when target like '%.%' then target else 'public.' || target end) and a.attname = col;
  select p.done, p.is_over into done, is_over from ops.erase_page(erasing, erasure, target || '.' || col, target,
    case when removes then 'delete from :part t'
         else format('update :part t set %I = %s', col,
           case when is_id then '($2 ->> ''as_id'')::uuid' else format('$2 -> ''names'' ->> t.%I::text', col) end) end ||
      ' where t.tenant_id = $1 and t.ctid = any (array(select at_row from page where hit))',
    format('coalesce(t.%I::text = any (array(select %s($2 -> ''names''))), false)', col,
      case when removes then 'jsonb_array_elements_text' else 'jsonb_object_keys' end),
    jsonb_build_object('names', names, 'as_id', as_id), looks) p;
end $$;

revoke all on function ops.erase_rows_page(text, uuid, text, integer, timestamptz) from public;
revoke all on function ops.clear_rows_page(text, uuid, text, jsonb, integer) from public;
revoke all on function ops.erase_person_page(text, uuid, text, text, jsonb, uuid, integer) from public;
grant execute on function ops.erase_rows_page(text, uuid, text, integer, timestamptz) to comply_jobs;
grant execute on function ops.clear_rows_page(text, uuid, text, jsonb, integer) to comply_jobs;
grant execute on function ops.erase_person_page(text, uuid, text, text, jsonb, uuid, integer) to comply_jobs;
