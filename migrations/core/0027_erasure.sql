-- phase: expand
-- The erasure of a tenant, or of one person within a tenant: a ledger, what it has done, and what may be deleted because of it.

create table ops.erasures (
  tenant_id     text not null references public.tenants,
  erasure_id    uuid not null,
  scope         text not null check (scope in ('tenant', 'person')),
  person_id     uuid,
  status        text not null check (status in ('waiting', 'running', 'on_hold', 'completed', 'cancelled')),
  step          text not null,
  early         boolean not null default false,
  reason        text,
  requested_by  text not null,
  requested_at  timestamptz not null,
  started_at    timestamptz,
  finished_at   timestamptz,
  held_by       jsonb not null default '[]',
  attempts      integer not null default 0,
  error         text,
  position      jsonb not null default '{}',
  -- Makes pseudonyms while the audit trail is rewritten, and is then forgotten.
  pseudonym_key bytea,
  report        jsonb,
  next_pass_at  timestamptz,
  updated_at    timestamptz not null default now(),
  primary key (tenant_id, erasure_id),
  check ((scope = 'person') = (person_id is not null)),
  check ((status in ('completed', 'cancelled')) = (finished_at is not null)),
  check (status <> 'completed' or pseudonym_key is null)
);
call ops.isolate_tenant('ops.erasures');
create unique index erasures_open on ops.erasures (tenant_id, scope, person_id) nulls not distinct
  where finished_at is null;
create index erasures_due on ops.erasures (requested_at, erasure_id) where finished_at is null;
create index erasures_next_pass on ops.erasures (next_pass_at) where next_pass_at is not null;
grant select, insert, update on ops.erasures to comply_jobs;
grant select, insert on ops.erasures to comply_app;

-- When each step began and ended, and what it did.
create table ops.erasure_steps (
  tenant_id   text not null,
  erasure_id  uuid not null,
  step        text not null,
  started_at  timestamptz not null,
  finished_at timestamptz,
  details     jsonb not null default '{}',
  primary key (tenant_id, erasure_id, step),
  foreign key (tenant_id, erasure_id) references ops.erasures
);
call ops.isolate_tenant('ops.erasure_steps');
grant select, insert, update on ops.erasure_steps to comply_jobs;
grant select on ops.erasure_steps to comply_app;

-- The blobs that an erased tenant still has. `may_go_at`: the end of their retention, and so of their immutability.
create table ops.erasure_blobs (
  tenant_id      text not null,
  erasure_id     uuid not null,
  container_name text not null,
  blob_name      text not null,
  may_go_at      timestamptz not null,
  is_immutable   boolean not null default false,
  primary key (tenant_id, erasure_id, container_name, blob_name),
  foreign key (tenant_id, erasure_id) references ops.erasures
);
call ops.isolate_tenant('ops.erasure_blobs');
grant select, insert, update, delete on ops.erasure_blobs to comply_jobs;

call ops.show_people('ops.erasures', '{tenant_id, erasure_id, scope, status, step, early, requested_by, requested_at, started_at,
  finished_at, held_by, attempts, error, next_pass_at, updated_at}');
call ops.show_people('ops.erasure_steps', '{tenant_id, erasure_id, step, started_at, finished_at}');
call ops.show_people('ops.erasure_blobs', '{tenant_id, erasure_id, container_name, blob_name, may_go_at, is_immutable}');

-- Every version of the key-encryption key that ever wrapped a data key: whoever has one of them and an old backup has the key.
alter table ops.data_keys add column wrapped_before text[] not null default '{}';
create function ops.guard_data_key() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- A job that wraps keys again may have read this one just before.
  if old.destroyed_at is not null and new.wrapped_key is not null then
    raise exception 'a destroyed data key stays destroyed' using errcode = '42501';
  end if;
  if old.wrapped_with <> new.wrapped_with then
    new.wrapped_before := array_append(array_remove(old.wrapped_before, old.wrapped_with), old.wrapped_with);
  end if;
  return new;
end $$;
revoke all on function ops.guard_data_key() from public;
create trigger guard_data_key before update on ops.data_keys for each row execute function ops.guard_data_key();

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

-- Refuses what no erasure has begun, and whatever an open legal hold stops. A whole tenant's rows go only when the tenant is erased,
-- so when nobody can act for it. Two runs at once wait for each other here, and no hold is placed until the transaction ends. The
-- owner is bound by row security, so what follows in this transaction reaches this tenant's rows only.
create function ops.check_erasure(erasing text, erasure uuid, target text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  of_whole boolean;
begin
  perform set_config('app.current_tenant_id', erasing, true);
  select e.scope = 'tenant' into of_whole from ops.erasures e
   where e.tenant_id = erasing and e.erasure_id = erasure and e.status in ('running', 'completed');
  perform from ops.erasure_places where tenant_id = erasing and erasure_id = erasure and place = target for update;
  if not found or of_whole is null or erasing = 'platform' then
    raise exception 'no erasure of % has begun in %', erasing, target using errcode = '42501';
  end if;
  if of_whole and not exists (select from public.tenants where tenant_id = erasing and status = 'erased') then
    raise exception '% is not erased', erasing using errcode = '42501';
  end if;
  lock table public.legal_holds in share mode;
  if exists (select from public.legal_holds where tenant_id = erasing and released_at is null) then
    raise exception '% has a legal hold', erasing using errcode = '55006';
  end if;
end $$;

-- Deletes the next rows of a tenant in one table, and counts them in their place. Returns how many were found: 0 is the end. With
-- `before` it deletes only rows that were made earlier. SECURITY DEFINER: no role of the app may delete from every table, and this
-- deletes only what an erasure has begun. Partitions are emptied one by one, and each row is found through its key, whatever the
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

-- Replaces who acted, from where, and what was said of it, in entries of the audit trail, while an erasure of that tenant is at this
-- step. Otherwise the trail is append-only. Everything else of an entry stays, and its hash covers the bytes that are there now.
create function ops.pseudonymise_entries(erasing text, erasure uuid, entries jsonb) returns integer
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set lock_timeout = '1s' as $$
declare
  changed bigint;
begin
  perform ops.check_erasure(erasing, erasure, 'audit_logs');
  if not exists (select from ops.erasures e where e.tenant_id = erasing and e.erasure_id = erasure
                    and e.status = 'running' and e.step = 'audit' and e.pseudonym_key is not null) then
    raise exception 'no erasure of % rewrites the trail', erasing using errcode = '42501';
  end if;
  update public.audit_logs a
     set user_id = g.user_id, actor = g.actor, resource_id = g.resource_id, details = g.details, ip_address = null,
         user_agent = null, canonical = convert_to(g.canonical, 'UTF8'),
         leaf_hash = sha256('\x00'::bytea || convert_to(g.canonical, 'UTF8'))
    from jsonb_to_recordset(entries) as g (id uuid, created_at timestamptz, user_id text, actor text, resource_id text,
      details jsonb, canonical text)
   where a.tenant_id = erasing and a.id = g.id and a.created_at = g.created_at;
  get diagnostics changed = row_count;
  update ops.erasure_places set done = done + changed
   where tenant_id = erasing and erasure_id = erasure and place = 'audit_logs';
  return changed;
end $$;
revoke all on function ops.pseudonymise_entries(text, uuid, jsonb) from public;
grant execute on function ops.pseudonymise_entries(text, uuid, jsonb) to comply_jobs;
