-- phase: migrate
-- no-transaction
-- To list API keys is a permission of its own, so that an auditor sees them. A key that manages keys could list them, and still can.

-- Row security binds the owner too, so it is taken from the owner meanwhile. Repeating either statement changes nothing.
-- squawk-ignore prefer-robust-stmts
alter table api_keys no force row level security;
do $$
begin
  loop
    update api_keys k set permissions = permissions || '["api_keys:read"]'
     where ctid = any (array(select ctid from api_keys
       where permissions ? 'api_keys:manage' and not permissions ? 'api_keys:read' limit 1000));
    exit when not found;
    commit;
  end loop;
end $$;
-- As before.
-- squawk-ignore prefer-robust-stmts
alter table api_keys force row level security;
