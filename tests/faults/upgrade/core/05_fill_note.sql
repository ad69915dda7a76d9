-- phase: migrate
-- no-transaction
-- The rows from before the trigger, of all tenants. Row security binds the owner too, so it is taken from the owner meanwhile;
-- requests and jobs stay bound. Repeating either statement changes nothing.
-- squawk-ignore prefer-robust-stmts
alter table mapper_requests no force row level security;
do $$ begin
  loop
    update mapper_requests set note = detector
     where (tenant_id, request_id) in (
       select tenant_id, request_id from mapper_requests where note is null limit 100 for update skip locked);
    exit when not found;
    commit;
  end loop;
end $$;
-- As before.
-- squawk-ignore prefer-robust-stmts
alter table mapper_requests force row level security;
