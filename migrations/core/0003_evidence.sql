-- Orchestrations, mappings, analyses, and the records they leave.

create table routing_plans (
  tenant_id                    text not null references tenants,
  id                           uuid not null,
  plan_name                    text not null,
  primary_detectors            jsonb not null default '[]',
  secondary_detectors          jsonb not null default '[]',
  parallel_groups              jsonb not null default '[]',
  sequential_dependencies      jsonb not null default '{}',
  timeout_config               jsonb not null default '{}',
  retry_config                 jsonb not null default '{}',
  coverage_method              text not null default 'required_set'
                               check (coverage_method in ('required_set', 'weighted_coverage', 'taxonomy_coverage')),
  coverage_threshold           double precision not null default 0.8 check (coverage_threshold between 0 and 1),
  weights                      jsonb not null default '{}',
  required_taxonomy_categories jsonb not null default '[]',
  is_active                    boolean not null default true,
  created_at                   timestamptz not null default now(),
  updated_at                   timestamptz not null default now(),
  version                      integer not null default 1,
  primary key (tenant_id, id),
  unique (tenant_id, plan_name)
);
create table detector_configs (
  tenant_id            text not null references tenants,
  id                   uuid not null,
  detector_name        text not null,
  detector_set         text not null default 'default',
  detector_type        text not null,
  detector_version     text not null,
  configuration        jsonb not null default '{}',
  confidence_threshold double precision not null default 0.5 check (confidence_threshold between 0 and 1),
  endpoint_url         text,
  health_status        text not null default 'unknown' check (health_status in ('unknown', 'healthy', 'degraded', 'unhealthy')),
  last_health_check_at timestamptz,
  is_active            boolean not null default true,
  created_at           timestamptz not null default now(),
  updated_at           timestamptz not null default now(),
  version              integer not null default 1,
  primary key (tenant_id, id),
  unique (tenant_id, detector_set, detector_name, detector_version)
);
create table analysis_templates (
  tenant_id        text not null references tenants,
  id               uuid not null,
  template_name    text not null,
  template_type    text not null,
  template_content jsonb not null,
  variables        jsonb not null default '[]',
  template_version text not null,
  is_active        boolean not null default true,
  metadata         jsonb not null default '{}',
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),
  version          integer not null default 1,
  primary key (tenant_id, id),
  unique (tenant_id, template_type, template_name, template_version)
);
call ops.wall('routing_plans');
call ops.wall('detector_configs');
call ops.wall('analysis_templates');
-- The platform's own rows serve every tenant that has none of that name.
create policy platform_defaults on routing_plans for select to comply_app using (tenant_id = 'platform');
create policy platform_defaults on detector_configs for select to comply_app using (tenant_id = 'platform');
create policy platform_defaults on analysis_templates for select to comply_app using (tenant_id = 'platform');

create table orchestration_requests (
  tenant_id          text not null,
  request_id         uuid not null,
  job_id             uuid,
  content            bytea not null,
  content_mac        bytea not null,
  encryption_key_id  uuid not null,
  content_type       text not null check (content_type in ('text', 'image', 'document', 'code')),
  policy_bundle      text not null,
  routing_plan_id    uuid not null,
  -- What the plan asked for when the request was accepted: a plan edited or deleted since changes no outcome.
  coverage_rule      jsonb not null,
  environment        text not null check (environment in ('dev', 'stage', 'prod')),
  processing_mode    text not null default 'sync' check (processing_mode in ('sync', 'async')),
  priority           text not null default 'normal' check (priority in ('low', 'normal', 'high', 'critical')),
  metadata           jsonb not null default '{}',
  required_detectors jsonb not null default '[]',
  excluded_detectors jsonb not null default '[]',
  idempotency_key    text,
  status             text not null default 'pending' check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
  user_id            text,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  expires_at         timestamptz not null,
  version            integer not null default 1,
  primary key (tenant_id, request_id),
  unique (tenant_id, idempotency_key)
);
create unique index orchestration_requests_by_job on orchestration_requests (tenant_id, job_id) where job_id is not null;
create index orchestration_requests_page on orchestration_requests (tenant_id, created_at desc, request_id desc);
create index orchestration_requests_expiry on orchestration_requests (expires_at, request_id);

create table orchestration_responses (
  tenant_id                text not null,
  request_id               uuid not null,
  detector_results         jsonb not null default '[]',
  aggregated_payload       jsonb,
  mapping_result           jsonb,
  total_processing_time_ms integer not null check (total_processing_time_ms >= 0),
  detectors_attempted      integer not null check (detectors_attempted >= 0),
  detectors_succeeded      integer not null check (detectors_succeeded >= 0),
  coverage_achieved        double precision not null check (coverage_achieved between 0 and 1),
  coverage_method          text not null,
  coverage_threshold       double precision not null,
  routing_decision         jsonb not null default '{}',
  fallback_used            boolean not null default false,
  error                    text,
  fingerprint              bytea not null,
  created_at               timestamptz not null default now(),
  primary key (tenant_id, request_id),
  foreign key (tenant_id, request_id) references orchestration_requests on delete cascade
);

create table detector_results (
  tenant_id          text not null,
  request_id         uuid not null,
  detector           text not null,
  attempt            integer not null check (attempt > 0),
  status             text not null check (status in ('success', 'failed', 'timeout', 'unavailable', 'skipped')),
  output             jsonb,
  metadata           jsonb not null default '{}',
  error              text,
  processing_time_ms integer not null check (processing_time_ms >= 0),
  confidence         double precision check (confidence between 0 and 1),
  created_at         timestamptz not null default now(),
  primary key (tenant_id, request_id, detector, attempt),
  foreign key (tenant_id, request_id) references orchestration_requests on delete cascade
);

create table mapper_requests (
  tenant_id                text not null,
  request_id               uuid not null,
  orchestration_request_id uuid,
  detector                 text not null,
  output                   jsonb,
  source_data              bytea not null,
  encryption_key_id        uuid not null,
  model_version            text not null,
  processing_mode          text not null default 'sync' check (processing_mode in ('sync', 'async')),
  priority                 text not null default 'normal' check (priority in ('low', 'normal', 'high', 'critical')),
  metadata                 jsonb not null default '{}',
  idempotency_key          text,
  status                   text not null default 'pending' check (status in ('pending', 'completed', 'failed')),
  created_at               timestamptz not null default now(),
  updated_at               timestamptz not null default now(),
  expires_at               timestamptz not null,
  version                  integer not null default 1,
  primary key (tenant_id, request_id),
  unique (tenant_id, idempotency_key)
);
create index mapper_requests_page on mapper_requests (tenant_id, created_at desc, request_id desc);
create index mapper_requests_expiry on mapper_requests (expires_at, request_id);
create index mapper_requests_orchestration on mapper_requests (tenant_id, orchestration_request_id)
  where orchestration_request_id is not null;

-- No foreign key to its request: both are written by one statement, and the check would cost the hot write a lookup.
create table mapper_responses (
  tenant_id          text not null,
  request_id         uuid not null,
  record_id          uuid not null,
  taxonomy           jsonb not null,
  scores             jsonb not null,
  confidence         double precision not null check (confidence between 0 and 1),
  notes              text,
  provenance         jsonb,
  policy_context     jsonb,
  version_info       jsonb,
  processing_time_ms integer not null check (processing_time_ms >= 0),
  model_used         text not null,
  fingerprint        bytea not null,
  created_at         timestamptz not null default now(),
  primary key (tenant_id, request_id)
);

-- One row a completed mapping. Partitioned by the UTC day of creation, so that a day's records leave by dropping
-- a partition. partition_day is 9999-12-31 for records that keep other time: a tenant's own retention, a legal hold,
-- an archive that is late. Those are deleted one by one.
create table storage_records (
  tenant_id         text not null,
  id                uuid not null,
  partition_day     date not null,
  source_data       bytea not null,
  mapped_data       jsonb not null,
  model_version     text not null,
  detector          text not null,
  timestamp         timestamptz not null default now(),
  metadata          jsonb not null default '{}',
  source_table      text not null default 'mapper_requests',
  source_id         uuid not null,
  s3_key            text,
  encrypted         boolean not null default true,
  encryption_key_id uuid not null,
  blob_url          text,
  container_name    text not null default 'mapper-outputs',
  blob_sha256       bytea,
  blob_bytes        bigint,
  access_tier       text,
  archived_at       timestamptz,
  created_at        timestamptz not null default now(),
  expires_at        timestamptz not null,
  azure_region      text not null default 'eastus',
  resource_group    text not null default 'comply-ai-rg',
  subscription_id   text,
  primary key (tenant_id, id, partition_day)
) partition by range (partition_day);
call ops.wall('storage_records');
create index storage_records_page on storage_records (tenant_id, created_at desc, id desc);
create index storage_records_source on storage_records (tenant_id, source_id);
create index storage_records_unarchived on storage_records (created_at, id) where archived_at is null;
-- What expires, in order, across tenants. Btrees, not BRIN: rows leave and their pages are filled again, after which a
-- block range spans every time and BRIN excludes nothing. New rows go to the right end, which is cheap.
create index storage_records_expiry on storage_records (expires_at, id);
create table storage_records_kept partition of storage_records for values from ('9999-12-31') to (maxvalue);

create table analysis_requests (
  tenant_id       text not null,
  request_id      uuid not null,
  period          jsonb not null,
  metrics         jsonb not null,
  evidence_refs   jsonb not null default '[]',
  analysis_type   text not null default 'gap_analysis',
  priority        text not null default 'normal' check (priority in ('low', 'normal', 'high', 'critical')),
  metadata        jsonb not null default '{}',
  idempotency_key text,
  status          text not null default 'pending' check (status in ('pending', 'completed', 'failed')),
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  expires_at      timestamptz not null,
  version         integer not null default 1,
  primary key (tenant_id, request_id),
  unique (tenant_id, idempotency_key)
);
create index analysis_requests_page on analysis_requests (tenant_id, created_at desc, request_id desc);
create index analysis_requests_expiry on analysis_requests (expires_at, request_id);
create index analysis_requests_evidence on analysis_requests using gin (evidence_refs jsonb_path_ops);

create table analysis_responses (
  tenant_id              text not null,
  request_id             uuid not null,
  explanation            text not null,
  remediation_steps      jsonb not null default '[]',
  policy_recommendations jsonb not null default '[]',
  confidence             double precision not null check (confidence between 0 and 1),
  analysis_metadata      jsonb not null default '{}',
  version_info           jsonb not null default '{}',
  processing_time_ms     integer not null check (processing_time_ms >= 0),
  model_used             text not null,
  template_fallback_used boolean not null default false,
  template_id            uuid,
  submitted_response     jsonb,
  fingerprint            bytea not null,
  created_at             timestamptz not null default now(),
  primary key (tenant_id, request_id),
  foreign key (tenant_id, request_id) references analysis_requests on delete cascade
);

create table analysis_metrics (
  tenant_id     text not null,
  id            uuid not null,
  metric_name   text not null,
  metric_value  double precision not null,
  metric_unit   text,
  time_period   timestamptz not null,
  evidence_refs jsonb not null default '[]',
  metadata      jsonb not null default '{}',
  created_at    timestamptz not null default now(),
  expires_at    timestamptz not null,
  primary key (tenant_id, id)
);
create index analysis_metrics_series on analysis_metrics (tenant_id, metric_name, time_period, id);
create index analysis_metrics_page on analysis_metrics (tenant_id, time_period, id);
create index analysis_metrics_expiry on analysis_metrics (expires_at, id);

call ops.wall('orchestration_requests');
call ops.wall('orchestration_responses');
call ops.wall('detector_results');
call ops.wall('mapper_requests');
call ops.wall('mapper_responses');
call ops.wall('analysis_requests');
call ops.wall('analysis_responses');
call ops.wall('analysis_metrics');

grant select, insert, update, delete on routing_plans, detector_configs, analysis_templates to comply_app, comply_jobs;
grant select, insert, update on orchestration_requests, orchestration_responses, detector_results, mapper_requests,
  mapper_responses, storage_records, analysis_requests, analysis_responses, analysis_metrics to comply_app;
grant select, insert, update, delete on orchestration_requests, orchestration_responses, detector_results, mapper_requests,
  mapper_responses, storage_records, analysis_requests, analysis_responses, analysis_metrics to comply_jobs;

-- Today's partition and a month ahead; a timer keeps it so.
do $$ begin
  perform ops.make_partition('storage_records', 'day', current_date + n) from generate_series(-1, 35) n;
end $$;
