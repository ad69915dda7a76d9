-- The server's roles. Run first, by an administrator; changes nothing when all is as it should be, so that it
-- can run at every deployment. Roles belong to the server: where the three databases are three servers, each has
-- its own. No role is ever given BYPASSRLS: what may cross tenants is said by policies, table by table. Login
-- roles get their passwords, or their Entra mapping, from whoever deploys; none is written down here.
do $$
declare
  wanted record;
  made   record;
begin
  for wanted in
    select * from (values
      ('comply_owner',    false), -- owns every object and migrates; nobody logs in as it
      ('comply_app',      true),  -- requests: owns nothing, inherits nothing
      ('comply_jobs',     true),  -- timers and queue writers that cross tenants by explicit policies
      ('comply_readonly', false)  -- granted to people
    ) as roles (name, can_login)
  loop
    select rolcanlogin, rolinherit, rolbypassrls, rolsuper, rolcreaterole, rolcreatedb
      into made from pg_roles where rolname = wanted.name;
    if not found then
      begin
        execute format('create role %I %s noinherit nocreatedb nocreaterole', wanted.name,
                       case when wanted.can_login then 'login' else 'nologin' end);
      exception when duplicate_object or unique_violation then
        null; -- another run of this file was faster
      end;
    elsif made.rolbypassrls or made.rolsuper or made.rolcreaterole or made.rolcreatedb then
      raise exception 'role % has rights that it must not have (superuser, BYPASSRLS, CREATEROLE or CREATEDB)', wanted.name
        using errcode = '42501', hint = 'Take them away, then migrate again.';
    elsif made.rolinherit or made.rolcanlogin <> wanted.can_login then
      execute format('alter role %I %s noinherit', wanted.name,
                     case when wanted.can_login then 'login' else 'nologin' end);
    end if;
  end loop;

  -- The one who migrates acts as the owner. A superuser may anyway.
  if not pg_has_role(current_user, 'comply_owner', 'set') then
    execute format('grant comply_owner to %I with set true, inherit true', current_user);
  end if;
end $$;
