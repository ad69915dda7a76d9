-- One rule for what a legal hold covers, in SQL, for the jobs and for the function that drops partitions; ids are compared
-- as uuid, so that no spelling of an id escapes a hold.

-- The ids that a hold's scope names; NULL where the scope names none, and also where it names something that is not an id: a
-- hold that cannot be understood is not limited by it.
create function ops.scope_ids(scope jsonb) returns uuid[]
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  return case when jsonb_typeof(scope->'record_ids') = 'array'
               and not exists (select from jsonb_array_elements_text(scope->'record_ids') e
                                where not pg_input_is_valid(e, 'uuid'))
              then (select array_agg(e::uuid) from jsonb_array_elements_text(scope->'record_ids') e) end;

-- A bound of a scope; otherwise_at where it gives none.
create function ops.scope_bound(scope jsonb, bound text, otherwise_at timestamptz) returns timestamptz
  language sql stable parallel safe
  return case when pg_input_is_valid(coalesce(scope->>bound, ''), 'timestamptz')
              then (scope->>bound)::timestamptz else otherwise_at end;

-- Whether a scope covers a row of these kinds of data that was created then. Which ids it names is held_ids' business.
create function ops.scope_covers(scope jsonb, data_types text[], created timestamptz) returns boolean
  language sql stable parallel safe
  return (jsonb_typeof(scope->'data_types') is distinct from 'array' or scope->'data_types' = '[]'
          or scope->'data_types' ?| data_types)
     and created >= ops.scope_bound(scope, 'created_from', '-infinity')
     and created <= ops.scope_bound(scope, 'created_to', 'infinity');

-- Scopes that were kept as they were typed: `0190A5F0-…` is the same id as `0190a5f0-…`. Row security binds the owner too, so
-- it is not forced for the moment of the change.
alter table legal_holds no force row level security;
update legal_holds set scope = jsonb_set(scope, '{record_ids}', to_jsonb(ops.scope_ids(scope)))
 where scope->'record_ids' <> to_jsonb(ops.scope_ids(scope));
alter table legal_holds force row level security;
-- What the jobs compare: always what the scope says, whoever wrote it.
alter table legal_holds add column held_ids uuid[] generated always as (ops.scope_ids(scope)) stored;

-- The ids by which a hold may name what came of an orchestration: its own, and its job's.
create function ops.orchestration_ids(tenant text, request uuid) returns uuid[]
  language sql stable parallel safe
  return array[request, (select o.job_id from public.orchestration_requests o
                          where o.tenant_id = tenant and o.request_id = request)];

-- The orchestration that a mapping maps a finding of.
create function ops.orchestration_of(tenant text, mapping uuid) returns uuid
  language sql stable parallel safe
  return (select m.orchestration_request_id from public.mapper_requests m
           where m.tenant_id = tenant and m.request_id = mapping);

-- The ids by which a hold may name what came of a mapping: its own, and those of the orchestration that it maps.
create function ops.mapping_ids(tenant text, mapping uuid) returns uuid[]
  language sql stable parallel safe
  return array[mapping] || ops.orchestration_ids(tenant, ops.orchestration_of(tenant, mapping));

-- The other way round: the mappings that an id stands for.
create function ops.mappings_named(tenant text, named uuid) returns setof uuid
  language sql stable parallel safe
begin atomic
  select named
  union
  select m.request_id from public.mapper_requests m
   where m.tenant_id = tenant and m.orchestration_request_id = named
  union
  select m.request_id from public.orchestration_requests o
    join public.mapper_requests m on m.tenant_id = o.tenant_id and m.orchestration_request_id = o.request_id
   where o.tenant_id = tenant and o.job_id = named;
end;

-- A blob outlives its record by years. What the record came from is kept beside the blob, so that a hold of it still holds the
-- blob when the record has expired.
alter table ops.blobs
  add column record_id uuid generated always as (
    case when retention_class = 'mapping_results' then substring(blob_name from
      '^mappings/[^/]+/[0-9]{4}/[0-9]{2}/[0-9]{2}/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json$')::uuid end) stored,
  add column source_id uuid,
  add column orchestration_id uuid;
create index blobs_record on ops.blobs (tenant_id, record_id) where record_id is not null;
create index blobs_source on ops.blobs (tenant_id, source_id) where source_id is not null;
create index blobs_orchestration on ops.blobs (tenant_id, orchestration_id) where orchestration_id is not null;

alter table ops.blobs no force row level security;
alter table storage_records no force row level security;
alter table mapper_requests no force row level security;
update ops.blobs b
   set source_id = r.source_id,
       orchestration_id = (select m.orchestration_request_id from mapper_requests m
                            where m.tenant_id = r.tenant_id and m.request_id = r.source_id)
  from storage_records r
 where b.record_id is not null and r.tenant_id = b.tenant_id and r.id = b.record_id;
alter table ops.blobs force row level security;
alter table storage_records force row level security;
alter table mapper_requests force row level security;

-- Whether jobs may be run as of a time that lies ahead. Only the owner writes it, and only on a development machine.
create table ops.deployment (
  one_row    boolean primary key default true check (one_row),
  runs_ahead boolean not null default false
);
insert into ops.deployment default values;

-- The functions below run as the owner, who owns the partitions but is bound by row security on their parents and on all other
-- tables. While they judge, and only then, the owner may read what they judge by.
create policy judged_by on legal_holds for select to comply_owner
  using (current_setting('app.judges_partitions', true) = 'on');
create policy judged_by on data_retention_policies for select to comply_owner
  using (current_setting('app.judges_partitions', true) = 'on');
create policy judged_by on mapper_requests for select to comply_owner
  using (current_setting('app.judges_partitions', true) = 'on');
create policy judged_by on orchestration_requests for select to comply_owner
  using (current_setting('app.judges_partitions', true) = 'on');

-- The records of one day's partition that must stay, at most so many from each of these reasons: covered by an open hold, kept
-- until deleted by hand, not archived, or not expired as of then. Each reason is looked for from its small side, through an
-- index: the cost grows with the rows that stay, not with those that go. A record may come up more than once.
create function ops.kept_records(day date, as_of timestamptz, most integer)
  returns table (tenant_id text, id uuid)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
declare
  judged_at timestamptz := case when (select runs_ahead from ops.deployment) then as_of else least(as_of, now()) end;
begin
  perform set_config('app.judges_partitions', 'on', true);
  return query execute format($q$
    (select r.tenant_id, r.id from public.legal_holds h
       cross join lateral (
         select r.tenant_id, r.id from public.%1$I r
          where r.tenant_id = h.tenant_id
            and r.created_at >= ops.scope_bound(h.scope, 'created_from', '-infinity')
            and r.created_at <= ops.scope_bound(h.scope, 'created_to', 'infinity')
            and ops.scope_covers(h.scope, array['storage_records'], r.created_at) limit $2) r
      where h.released_at is null and h.held_ids is null limit $2)
    union all
    (select r.tenant_id, r.id from public.legal_holds h
       cross join lateral unnest(h.held_ids) named (id)
       cross join lateral (
         select r.tenant_id, r.id from public.%1$I r
          where r.tenant_id = h.tenant_id and r.id = named.id
            and ops.scope_covers(h.scope, array['storage_records'], r.created_at)
         union all
         select r.tenant_id, r.id from ops.mappings_named(h.tenant_id, named.id) source (id)
           cross join lateral (
             select r.tenant_id, r.id from public.%1$I r
              where r.tenant_id = h.tenant_id and r.source_id = source.id
                and ops.scope_covers(h.scope, array['storage_records'], r.created_at) offset 0) r) r
      where h.released_at is null limit $2)
    union all
    (select r.tenant_id, r.id from public.data_retention_policies p
       cross join lateral (select r.tenant_id, r.id from public.%1$I r where r.tenant_id = p.tenant_id limit $2) r
      where p.data_type = 'storage_records' and p.is_active and not p.auto_delete limit $2)
    union all
    (select r.tenant_id, r.id from public.%1$I r where r.archived_at is null limit $2)
    union all
    (select r.tenant_id, r.id from public.%1$I r where r.expires_at > $1 limit $2)$q$,
    'storage_records_d' || to_char(day, 'YYYYMMDD')) using judged_at, most;
  perform set_config('app.judges_partitions', 'off', true);
end $$;

-- Drops a day's partition of storage records, once nothing in it must stay: whoever calls it, and whatever the caller has
-- looked at before. No other table's partitions are dropped: the audit trail is append-only. Holds and policies cannot change
-- until the transaction ends. The parent's lock is needed for the drop and is taken before the partition's: taken last, it
-- would deadlock with readers on their way from the parent to the partition. The caller bounds the wait with lock_timeout.
drop function ops.drop_partition(text, text);
create function ops.drop_partition(parent text, partition text, as_of timestamptz default now()) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if parent is distinct from 'storage_records' then
    raise exception 'partitions of % are not dropped', parent using errcode = '42501';
  end if;
  if partition is null or partition !~ '^storage_records_d[0-9]{8}$' or not exists (
      select from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'public.storage_records'::regclass and c.relname = partition) then
    raise exception '% is not a dated partition of %', partition, parent using errcode = '22023';
  end if;
  lock table public.legal_holds, public.data_retention_policies in share mode;
  lock table only public.storage_records in access exclusive mode;
  execute format('lock table public.%I in access exclusive mode', partition);
  if exists (select from ops.kept_records(to_date(right(partition, 8), 'YYYYMMDD'), coalesce(as_of, now()), 1)) then
    raise exception '% has records that must stay: held, not archived or not expired', partition using errcode = '55006';
  end if;
  execute format('drop table public.%I', partition);
end $$;

revoke all on function ops.kept_records(date, timestamptz, integer) from public;
revoke all on function ops.drop_partition(text, text, timestamptz) from public;
grant execute on function ops.kept_records(date, timestamptz, integer) to comply_jobs;
grant execute on function ops.drop_partition(text, text, timestamptz) to comply_jobs;

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

-- Records by their model's version, a filter of their list. An index of a partitioned table cannot be built concurrently, and
-- built on all partitions at once it would hold up writes for as long. So it is declared on the parent alone, and gets its part
-- in the partitions that are empty, those ahead, here; in the others `ops.index_partition` builds it, one after the other.
create index storage_records_model on only storage_records (tenant_id, model_version, created_at desc, id desc);

-- Builds one missing part of a partitioned table's indexes, in its newest partition that lacks one, and names the partition; NULL
-- once nothing is missing. Writes to that one partition wait meanwhile, some seconds for a million rows.
create function ops.index_partition(parent text, only_empty boolean default false) returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  missing record;
begin
  select p.relname as partition, x.relname as index, x.relname || substr(p.relname, length(parent) + 1) as part,
         pg_get_indexdef(x.oid) as definition
    into missing
    from pg_index i
    join pg_class x on x.oid = i.indexrelid
    join pg_inherits h on h.inhparent = i.indrelid
    join pg_class p on p.oid = h.inhrelid
   where i.indrelid = to_regclass(format('public.%I', parent)) and not i.indisvalid
     and (not only_empty or pg_relation_size(p.oid) = 0)
     and not exists (select from pg_index own join pg_inherits a on a.inhrelid = own.indexrelid
                      where own.indrelid = p.oid and a.inhparent = x.oid)
   order by p.relname desc, x.relname limit 1;
  if missing is null then
    return null;
  end if;
  execute regexp_replace(missing.definition, '^CREATE (UNIQUE )?INDEX \S+ ON ONLY \S+',
    format('CREATE \1INDEX %I ON public.%I', missing.part, missing.partition));
  execute format('alter index public.%I attach partition public.%I', missing.index, missing.part);
  return missing.partition;
end $$;
revoke all on function ops.index_partition(text, boolean) from public;
grant execute on function ops.index_partition(text, boolean) to comply_jobs;
do $$ begin
  while ops.index_partition('storage_records', true) is not null loop null; end loop;
end $$;
