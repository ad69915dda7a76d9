-- phase: expand
-- A tenant's life: since when it has its status and why, until when an offboarding can be undone, and its exports.

alter table tenants
  add column status_reason        text,
  add column status_changed_at    timestamptz,
  add column offboarding_ends_at  timestamptz,
  -- Who began it: a tenant cannot undo what an operator decided.
  add column offboarding_began_by text constraint tenants_offboarding_began_by_check
    check (offboarding_began_by in ('tenant', 'operator'));

-- The job that erases finds the tenants whose days are over in this order.
-- squawk-ignore require-concurrent-index-creation
create index tenants_offboarding on tenants (offboarding_ends_at, tenant_id) where status = 'offboarding';

-- The reason is free text: hidden from people.
call ops.show_people('tenants', '{tenant_id, name, status, plan_id, data_key_id, has_quota, billing_standing,
  billing_grace_ends_at, status_changed_at, offboarding_ends_at, offboarding_began_by, created_at, updated_at, version}');

-- One export of everything that a tenant has. `position` is what is written already; whoever writes more changes it in the same
-- statement, so that of two at once only one continues.
create table ops.tenant_exports (
  tenant_id    text not null references public.tenants,
  export_id    uuid not null,
  status       text not null default 'waiting' check (status in ('waiting', 'running', 'completed', 'failed', 'deleted')),
  requested_by text not null,
  position     jsonb not null default '{}',
  rows         bigint not null default 0,
  files        bigint not null default 0,
  bytes        bigint not null default 0,
  failures     integer not null default 0,
  error        text,
  created_at   timestamptz not null,
  worked_at    timestamptz not null,
  completed_at timestamptz,
  -- When its container is deleted.
  delete_after timestamptz,
  primary key (tenant_id, export_id)
);
call ops.isolate_tenant('ops.tenant_exports');
create unique index tenant_exports_one_open on ops.tenant_exports (tenant_id) where status in ('waiting', 'running');
create index tenant_exports_page on ops.tenant_exports (tenant_id, created_at desc, export_id desc);
create index tenant_exports_open on ops.tenant_exports (worked_at, export_id) where status in ('waiting', 'running');
create index tenant_exports_kept on ops.tenant_exports (delete_after, export_id) where status in ('completed', 'failed');

-- The files of an export that is not deleted: one or more for each table with rows.
create table ops.tenant_export_files (
  tenant_id   text not null references public.tenants,
  export_id   uuid not null,
  name        text not null,
  -- The database and table that it is of, or `blobs`.
  source      text not null,
  rows        bigint not null,
  bytes       bigint not null,
  sha256      bytea not null,
  created_at  timestamptz not null,
  primary key (tenant_id, export_id, name)
);
call ops.isolate_tenant('ops.tenant_export_files');

grant select, insert on ops.tenant_exports to comply_app;
grant select, insert, update, delete on ops.tenant_exports, ops.tenant_export_files to comply_jobs;
call ops.show_people('ops.tenant_exports', '{tenant_id, export_id, status, requested_by, rows, files, bytes, failures, created_at,
  worked_at, completed_at, delete_after}');
