-- phase: expand
-- To list keys is a permission of its own, so that an auditor sees them. Who manages keys could list them, and still can.

alter table api_keys no force row level security;
alter table user_roles no force row level security;
update api_keys set permissions = permissions || '["api_keys:read"]'
 where permissions ? 'api_keys:manage' and not permissions ? 'api_keys:read';
update user_roles set permissions = permissions || '["api_keys:read"]', version = version + 1
 where permissions ? 'api_keys:manage' and not permissions ? 'api_keys:read';
alter table api_keys force row level security;
alter table user_roles force row level security;
