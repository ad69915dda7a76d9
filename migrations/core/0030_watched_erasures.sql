-- phase: expand
-- no-transaction

-- Somebody's erasure is looked at once a day for a while: a late message may have named the person again. `watch_ended` has its own
-- column, and not `next_pass_at`, because the release before this one takes that for the pass over a whole tenant.
alter table ops.erasures add column if not exists next_watch_at timestamptz,
  add column if not exists watch_ended boolean not null default false;

-- As ops.check_person_erasure, and also while a completed erasure is watched, if the person did not join the tenant again.
create or replace function ops.check_person_pass(erasing text, erasure uuid, target text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  ended  boolean;
  person uuid;
begin
  perform set_config('app.current_tenant_id', erasing, true);
  select e.status = 'completed', e.person_id into ended, person from ops.erasures e
   where e.tenant_id = erasing and e.erasure_id = erasure and e.scope = 'person'
     and (e.status = 'running' or e.status = 'completed' and not e.watch_ended);
  perform from ops.erasure_places where tenant_id = erasing and erasure_id = erasure and place = target for update;
  if not found or ended is null or erasing = 'platform' then
    raise exception 'no erasure of a person of % has begun in %', erasing, target using errcode = '42501';
  end if;
  if ended and exists (select from public.user_role_assignments where tenant_id = erasing and user_id = person) then
    raise exception 'the person joined % again', erasing using errcode = '42501';
  end if;
  lock table public.legal_holds in share mode;
  if exists (select from public.legal_holds where tenant_id = erasing and released_at is null) then
    raise exception '% has a legal hold', erasing using errcode = '55006';
  end if;
end $$;
revoke all on function ops.check_person_pass(text, uuid, text) from public;

create index concurrently if not exists erasures_watched on ops.erasures (finished_at)
  where scope = 'person' and status = 'completed' and not watch_ended;

-- As before, also in the later passes over one person's erasure, which make pseudonyms of their own. Entries are looked up by their
-- keys, whatever the statistics say.
create or replace function ops.pseudonymise_entries(erasing text, erasure uuid, entries jsonb) returns integer
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
  set enable_mergejoin = off set lock_timeout = '1s' as $$
declare
  changed bigint;
  of_person boolean;
begin
  -- The owner is bound by row security too.
  perform set_config('app.current_tenant_id', erasing, true);
  select e.scope = 'person' into of_person from ops.erasures e where e.tenant_id = erasing and e.erasure_id = erasure;
  if of_person then
    perform ops.check_person_pass(erasing, erasure, 'audit_logs');
  else
    perform ops.check_erasure(erasing, erasure, 'audit_logs');
  end if;
  if not exists (select from ops.erasures e where e.tenant_id = erasing and e.erasure_id = erasure
                    and (e.status = 'running' and e.step = 'audit' and e.pseudonym_key is not null
                         or of_person and e.status = 'completed')) then
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
