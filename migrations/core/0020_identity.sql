-- phase: expand
-- People: who they are, what they may do in which tenant, and their sessions.

-- A person can belong to several tenants, so this table has no tenant. Requests see only people with a role in their tenant,
-- and no password.
create table users (
  user_id             uuid primary key,
  -- Normalised: NFC, lower case, trimmed. Null for people whom only a token of their own organisation names.
  email               text check (email = lower(email)),
  -- In PHC format, with its parameters. Null for people without a password.
  password_hash       text,
  password_changed_at timestamptz,
  first_name          text,
  last_name           text,
  company             text,
  phone               text,
  is_active           boolean not null default true,
  is_verified         boolean not null default false,
  email_verified_at   timestamptz,
  failed_sign_ins     integer not null default 0,
  locked_until        timestamptz,
  last_login_at       timestamptz,
  azure_region        text not null default 'eastus',
  resource_group      text,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  version             integer not null default 1
);
create unique index users_email on users (email);
create index users_page on users (created_at desc, user_id desc);

-- Roles as data. Those of the tenant `platform` are every tenant's.
create table user_roles (
  tenant_id      text not null references tenants,
  role_name      text not null check (role_name ~ '^[a-z][a-z0-9_]{0,62}$'),
  description    text not null default '',
  permissions    jsonb not null default '[]',
  is_system_role boolean not null default false,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  version        integer not null default 1,
  primary key (tenant_id, role_name)
);
call ops.isolate_tenant('user_roles');
create policy platform_defaults on user_roles for select to comply_app using (tenant_id = 'platform');
create index user_roles_page on user_roles (tenant_id, created_at desc, role_name desc);

-- Who has which role where. A person with a live assignment is a member of the tenant. `source`: given by somebody, or said by
-- the last token of the person's own organisation.
create table user_role_assignments (
  tenant_id   text not null references tenants,
  user_id     uuid not null references users on delete cascade,
  role_name   text not null,
  source      text not null default 'assigned' check (source in ('assigned', 'token')),
  assigned_by text,
  assigned_at timestamptz not null default now(),
  expires_at  timestamptz,
  is_active   boolean not null default true,
  ended_at    timestamptz,
  ended_by    text,
  updated_at  timestamptz not null default now(),
  primary key (tenant_id, user_id, role_name, source),
  check (is_active = (ended_at is null))
);
call ops.isolate_tenant('user_role_assignments');
-- A person's tenants, at sign-in.
create index user_role_assignments_user on user_role_assignments (user_id) where is_active;

create table user_sessions (
  tenant_id        text not null references tenants,
  session_id       text not null,
  user_id          uuid not null references users on delete cascade,
  -- SHA-256 of the token, which is stored nowhere.
  token_hash       bytea not null,
  -- How the person signed in: `pwd`, `otp` (RFC 8176).
  methods          text[] not null default '{}',
  ip_address       inet,
  user_agent       text,
  created_at       timestamptz not null default now(),
  last_accessed_at timestamptz not null default now(),
  idle_expires_at  timestamptz not null,
  expires_at       timestamptz not null,
  revoked_at       timestamptz,
  revoked_by       text,
  primary key (tenant_id, session_id)
);
call ops.isolate_tenant('user_sessions');
-- A token names its session before its tenant is known. Not unique: see api_keys_by_id.
create index user_sessions_by_id on user_sessions (session_id);
create index user_sessions_user on user_sessions (user_id, created_at desc);
-- The timer deletes sessions in this order.
create index user_sessions_end on user_sessions (expires_at, session_id);

alter table users enable row level security;
alter table users force row level security;
create policy members on users for select to comply_app using (exists (
  select from user_role_assignments a
   where a.tenant_id = nullif(current_setting('app.current_tenant_id', true), '') and a.user_id = users.user_id));
create policy jobs_cross_tenants on users for all to comply_jobs using (true) with check (true);

-- An invitation to an e-mail address, with roles.
create table ops.invitations (
  tenant_id     text not null references public.tenants,
  invitation_id uuid not null,
  email         text not null check (email = lower(email)),
  roles         text[] not null,
  token_hash    bytea not null,
  invited_by    text,
  created_at    timestamptz not null default now(),
  expires_at    timestamptz not null,
  accepted_at   timestamptz,
  accepted_by   uuid,
  revoked_at    timestamptz,
  revoked_by    text,
  primary key (tenant_id, invitation_id)
);
call ops.isolate_tenant('ops.invitations');
create index invitations_by_token on ops.invitations (token_hash);
create index invitations_page on ops.invitations (tenant_id, created_at desc, invitation_id desc);

-- One-time tokens of a person, for an address or a new password.
create table ops.user_tokens (
  token_hash bytea primary key,
  purpose    text not null check (purpose in ('email_verification', 'password_reset')),
  user_id    uuid not null references public.users on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at    timestamptz
);
create index user_tokens_user on ops.user_tokens (user_id, purpose);
create index user_tokens_end on ops.user_tokens (expires_at);

-- The second factor. The secret is sealed with the data key of the tenant `platform`. `last_step`: a code counts once.
create table ops.user_totp (
  user_id           uuid primary key references public.users on delete cascade,
  secret_sealed     bytea not null,
  encryption_key_id uuid not null,
  confirmed_at      timestamptz,
  last_step         bigint not null default 0,
  created_at        timestamptz not null default now()
);

create table ops.recovery_codes (
  user_id    uuid not null references public.users on delete cascade,
  code_hash  bytea not null,
  created_at timestamptz not null default now(),
  used_at    timestamptz,
  primary key (user_id, code_hash)
);

-- Who a token's issuer and subject are.
create table ops.user_identities (
  issuer       text not null,
  subject      text not null,
  user_id      uuid not null references public.users on delete cascade,
  created_at   timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  primary key (issuer, subject)
);
create index user_identities_user on ops.user_identities (user_id);

-- The person who made a key, or made the key that made it. The key never has a permission that this person does not hold.
alter table api_keys add column made_by_user uuid;

grant select (user_id, email, first_name, last_name, company, phone, is_active, is_verified, email_verified_at, locked_until,
  last_login_at, created_at, updated_at, version) on users to comply_app;
grant select, insert, update, delete on users to comply_jobs;
grant select, insert, update, delete on user_roles to comply_app, comply_jobs;
grant select, insert, update on user_role_assignments, user_sessions to comply_app;
grant select, insert, update, delete on user_role_assignments, user_sessions to comply_jobs;
grant select, insert, update on ops.invitations to comply_app;
grant select, insert, update, delete on ops.invitations to comply_jobs;
grant select, insert, update, delete on ops.user_tokens, ops.user_totp, ops.recovery_codes, ops.user_identities to comply_jobs;

-- No tenant: whoever may look sees all of them.
create policy people_read on users for select to comply_readonly using (true);
-- People who look into the database see who may do what, and never a name, an address or a secret.
call ops.show_people('users', '{user_id, is_active, is_verified, created_at, updated_at, version}');
call ops.show_people('user_roles', '{tenant_id, role_name, permissions, is_system_role, created_at, updated_at, version}');
call ops.show_people('user_role_assignments', '{tenant_id, user_id, role_name, source, assigned_by, assigned_at, expires_at,
  is_active, ended_at, ended_by, updated_at}');
call ops.show_people('user_sessions', '{tenant_id, session_id, user_id, methods, created_at, last_accessed_at, expires_at,
  revoked_at, revoked_by}');
call ops.show_people('api_keys', '{tenant_id, key_id, permissions, rate_limit_per_hour, rate_limit_per_day, is_active,
  last_used_at, expires_at, revoked_at, replaced_by, created_by, made_by_user, created_at, updated_at, version}');
