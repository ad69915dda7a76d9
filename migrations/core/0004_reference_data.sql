-- What all tenants share and operators write.

create table taxonomy_labels (
  id               uuid primary key,
  label            text not null,
  category         text not null,
  subcategory      text,
  description      text,
  severity         text not null default 'medium' check (severity in ('low', 'medium', 'high', 'critical')),
  taxonomy_version text not null,
  is_active        boolean not null default true,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),
  version          integer not null default 1,
  unique (label, taxonomy_version)
);
create table compliance_mappings (
  id                    uuid primary key,
  taxonomy_label        text not null,
  compliance_framework  text not null,
  framework_requirement text not null,
  severity              text not null default 'medium' check (severity in ('low', 'medium', 'high', 'critical')),
  remediation_guidance  text,
  frameworks_version    text not null,
  is_active             boolean not null default true,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  version               integer not null default 1,
  unique (taxonomy_label, compliance_framework, framework_requirement, frameworks_version)
);
create table model_versions (
  id                   uuid primary key,
  model_name           text not null,
  model_version        text not null,
  model_path           text not null,
  azure_blob_url       text,
  azure_container_name text,
  checksum             text,
  is_active            boolean not null default false,
  azure_region         text not null default 'eastus',
  activated_at         timestamptz,
  created_at           timestamptz not null default now(),
  updated_at           timestamptz not null default now(),
  version              integer not null default 1,
  unique (model_name, model_version)
);
create unique index model_versions_one_active on model_versions (model_name) where is_active;

grant select on taxonomy_labels, compliance_mappings, model_versions to comply_app, comply_readonly;
grant select, insert, update, delete on taxonomy_labels, compliance_mappings, model_versions to comply_jobs;
