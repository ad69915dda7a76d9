-- The server's roles. Run first, by an administrator; changes nothing when all is as it should be, so that it can
-- run at every deployment. Roles belong to the server: where the three databases are three servers, each has
-- its own. No role is ever given BYPASSRLS: what may cross tenants is said by policies, table by table. Login
-- roles get their passwords, or their Entra mapping, from whoever deploys; none is written down here.
do $$
declare
  wanted record;
  made   record;
begin
  for wanted in
    select * from (values
      ('comply_owner',               false), -- owns every object and migrates; nobody logs in as it
      ('comply_app',                 true),  -- requests: owns nothing, inherits nothing
      ('comply_jobs',                true),  -- timers and queue writers that cross tenants by explicit policies
      ('comply_readonly',            false), -- what people may read, in each database; nobody logs in as it
      ('comply_readonly_core',       true),  -- the core team: may connect to the core database only
      ('comply_readonly_billing',    true),  -- the billing team: to the billing database only
      ('comply_readonly_analytics',  true)   -- the analytics team: to the analytics database only
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

-- The roles that people sign in as. They may use what comply_readonly may, but not become it. Settings of a role apply
-- only to the role that signs in, so each of these has them.
do $$
declare
  person  text;
  setting record;
  made    record;
begin
  foreach person in array array['comply_readonly_core', 'comply_readonly_billing', 'comply_readonly_analytics']
  loop
    select bool_or(m.inherit_option) as inherits, bool_or(m.set_option or m.admin_option) as too_much into made
      from pg_auth_members m where m.roleid = 'comply_readonly'::regrole and m.member = person::regrole;
    if made.too_much then
      raise exception 'role % may become or grant comply_readonly', person
        using errcode = '42501', hint = 'Take that away, then migrate again.';
    elsif made.inherits is not true then
      execute format('grant comply_readonly to %I with inherit true, set false, admin false', person);
    end if;

    for setting in
      select * from (values
        ('default_transaction_read_only',       'on'),
        ('statement_timeout',                   '30s'),   -- a query of a person must not hold back vacuum or a partition's drop
        ('lock_timeout',                        '5s'),
        ('idle_in_transaction_session_timeout', '60s'),
        ('idle_session_timeout',                '30min'),
        ('search_path',                         'people')
      ) as settings (name, value)
    loop
      if not coalesce((select format('%s=%s', setting.name, setting.value) = any (rolconfig)
                       from pg_roles where rolname = person), false) then
        execute format('alter role %I set %I = %L', person, setting.name, setting.value);
      end if;
    end loop;

    -- A whole team together, so that people cannot use up the connections of the app.
    if (select rolconnlimit from pg_roles where rolname = person) <> 10 then
      execute format('alter role %I connection limit 10', person);
    end if;
  end loop;
end $$;
