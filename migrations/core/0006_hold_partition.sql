-- Keeps autovacuum away from a partition that is about to be dropped, until the transaction ends. A worker that is at it
-- gives way a second after somebody waits for its lock (deadlock_timeout), which is as long as a drop may wait for the
-- parent's lock with everybody else waiting behind it: five attempts could end in vain. This lock is waited for longer,
-- since nobody but vacuum and DDL waits with it.
create function ops.hold_partition(parent text, partition text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '5s' as $$
begin
  if partition !~ ('^' || parent || '_[dm][0-9]{6,8}$') or not exists (
      select from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = to_regclass(format('public.%I', parent)) and c.relname = partition) then
    raise exception '% is not a dated partition of %', partition, parent using errcode = '22023';
  end if;
  execute format('lock table public.%I in share update exclusive mode', partition);
end $$;

revoke all on function ops.hold_partition(text, text) from public;
grant execute on function ops.hold_partition(text, text) to comply_jobs;
