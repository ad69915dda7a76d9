-- Makes the partition of one day or one month unless it exists, and says whether it did. A table's partitions are all of one
-- grain, that of the ones it has: a month among days would keep what expires by the day. SECURITY DEFINER: the roles that need it
-- own no table. A partition gets no grant: it is reached through its parent, whose row security guards it.
create or replace function ops.make_partition(parent text, grain text, at date) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  first date := case grain when 'day' then at else date_trunc('month', at::timestamp)::date end;
  past  date := case grain when 'day' then first + 1 else (first + interval '1 month')::date end;
  name  text := parent || case grain when 'day' then to_char(first, '"_d"YYYYMMDD') else to_char(first, '"_m"YYYYMM') end;
begin
  if grain is null or grain not in ('day', 'month') then
    raise exception 'unknown grain %', grain using errcode = '22023';
  end if;
  if not exists (select from pg_partitioned_table p join pg_class c on c.oid = p.partrelid
                 join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relname = parent) then
    raise exception '% is not a partitioned table', parent using errcode = '42809';
  end if;
  if exists (select from pg_inherits i join pg_class c on c.oid = i.inhrelid
             where i.inhparent = to_regclass(format('public.%I', parent))
               and c.relname ~ case grain when 'day' then '_m[0-9]{6}$' else '_d[0-9]{8}$' end) then
    raise exception 'the partitions of % are not by the %', parent, grain using errcode = '22023';
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
