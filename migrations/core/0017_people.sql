-- phase: expand
-- What people may read: views without content, and exactly those columns of the tables behind them.
--
-- The views are security_invoker: a person reads with the person's own rights, and row security applies to the person.
-- So the columns that the tables grant are the limit, and a view only gives them a name that "select *" works with.
-- A view with its owner's rights would need an owner whom row security does not bind. security_barrier is not
-- needed: no view has a condition that a function of a query could see past, and row security is itself such a barrier.
--
-- A column that is not named here stays hidden. tests/people.test.ts fails for each new column until it is decided.

create schema people;
grant usage on schema people to comply_readonly;

-- The grants of whole tables that this replaces.
-- allow removal-in-contract: only people use this role, and no build
revoke all on all tables in schema public from comply_readonly;
-- allow removal-in-contract: as above
revoke usage on schema public from comply_readonly;

-- Lets people read these columns of a table, and replaces what they could read of it before. A person sees the rows of all
-- tenants, or of the one in app.current_tenant_id if the session sets it.
create procedure ops.show_people(target regclass, columns text[]) language plpgsql as $body$
declare
  named  text := (select relname from pg_class where oid = target);
  listed text := (select string_agg(format('%I', name), ', ' order by place)
                  from unnest(columns) with ordinality as given (name, place));
begin
  execute format('drop view if exists people.%I', named);
  execute format('revoke all on %s from comply_readonly', target);
  execute format('grant select (%s) on %s to comply_readonly', listed, target);
  execute format('create view people.%I with (security_invoker = true) as select %s from %s', named, listed, target);
  execute format('grant select on people.%I to comply_readonly', named);
  if (select relrowsecurity from pg_class where oid = target)
     and not exists (select from pg_policy where polrelid = target and polname = 'people_read') then
    execute format($policy$create policy people_read on %s for select to comply_readonly
      using (tenant_id = coalesce(nullif(current_setting('app.current_tenant_id', true), ''), tenant_id))$policy$, target);
  end if;
end $body$;
revoke all on procedure ops.show_people(regclass, text[]) from public;

-- Tenants and their keys. Never a key's hash or prefix, nor the name that somebody gave it.
call ops.show_people('tenants', '{tenant_id, name, status, plan_id, data_key_id, has_quota, billing_standing,
  billing_grace_ends_at, created_at, updated_at, version}');
call ops.show_people('tenant_configs', '{tenant_id, azure_region, created_at, updated_at, version}');
call ops.show_people('api_keys', '{tenant_id, key_id, permissions, rate_limit_per_hour, rate_limit_per_day, is_active,
  last_used_at, expires_at, revoked_at, replaced_by, created_by, created_at, updated_at, version}');

-- Evidence: what ran, when and how fast. Never what was examined, found or explained.
call ops.show_people('orchestration_requests', '{tenant_id, request_id, job_id, encryption_key_id, content_type, policy_bundle,
  routing_plan_id, environment, processing_mode, priority, status, created_at, updated_at, expires_at, version}');
call ops.show_people('orchestration_responses', '{tenant_id, request_id, total_processing_time_ms, detectors_attempted,
  detectors_succeeded, coverage_achieved, coverage_method, coverage_threshold, fallback_used, created_at}');
call ops.show_people('detector_results', '{tenant_id, request_id, detector, attempt, status, processing_time_ms, confidence,
  below_threshold, created_at}');
call ops.show_people('mapper_requests', '{tenant_id, request_id, orchestration_request_id, detector, encryption_key_id,
  model_version, processing_mode, priority, status, review_status, reviewed_by, reviewed_at, created_at, updated_at,
  expires_at, version}');
call ops.show_people('mapper_responses', '{tenant_id, request_id, record_id, confidence, processing_time_ms, model_used,
  created_at}');
call ops.show_people('storage_records', '{tenant_id, id, partition_day, model_version, detector, timestamp, source_table,
  source_id, encrypted, encryption_key_id, container_name, blob_bytes, access_tier, archived_at, created_at, expires_at,
  azure_region}');
call ops.show_people('analysis_requests', '{tenant_id, request_id, analysis_type, priority, status, created_at, updated_at,
  expires_at, version}');
call ops.show_people('analysis_responses', '{tenant_id, request_id, confidence, processing_time_ms, model_used,
  template_fallback_used, template_id, created_at}');
call ops.show_people('analysis_metrics', '{tenant_id, id, metric_name, metric_unit, time_period, created_at, expires_at}');

-- Configuration: names and states. Never its free-form parts, nor addresses, which may contain credentials.
call ops.show_people('routing_plans', '{tenant_id, id, plan_name, coverage_method, coverage_threshold, is_active, created_at,
  updated_at, version}');
call ops.show_people('detector_configs', '{tenant_id, id, detector_name, detector_set, detector_type, detector_version,
  confidence_threshold, health_status, last_health_check_at, is_active, created_at, updated_at, version}');
call ops.show_people('analysis_templates', '{tenant_id, id, template_name, template_type, template_version, is_active,
  created_at, updated_at, version}');
call ops.show_people('taxonomy_labels', '{id, label, category, subcategory, description, severity, taxonomy_version,
  is_active, created_at, updated_at, version}');
call ops.show_people('compliance_mappings', '{id, taxonomy_label, compliance_framework, framework_requirement, severity,
  remediation_guidance, frameworks_version, is_active, created_at, updated_at, version}');
call ops.show_people('model_versions', '{id, model_name, model_version, checksum, is_active, azure_region, activated_at,
  created_at, updated_at, version}');

-- Audit and retention. A user's id may be an e-mail address, and addresses and agents tell of a person: hidden.
call ops.show_people('audit_logs', '{tenant_id, id, actor, action, resource_type, resource_id, outcome, trace_id,
  azure_region, created_at, received_at}');
call ops.show_people('data_retention_policies', '{tenant_id, policy_id, data_type, retention_days, auto_delete,
  compliance_framework, is_active, applied_at, created_at, updated_at, version}');
call ops.show_people('legal_holds', '{tenant_id, hold_id, placed_by, placed_at, released_by, released_at, created_at,
  updated_at, version}');
call ops.show_people('retention_runs', '{run_id, job, as_of, started_at, finished_at, status, cutoff, examined, deleted,
  kept_on_hold, not_archived, bytes, triggered_by, created_at}');

-- How the service does: what waits, what was refused, where blobs are, which version wraps a data key.
call ops.show_people('ops.blobs', '{tenant_id, container_name, blob_name, retention_class, access_tier, bytes, created_at,
  tier_changed_at, next_check_at, delete_after, deleted_at, record_id}');
call ops.show_people('ops.data_keys', '{tenant_id, key_id, wrapped_with, created_at, rewrapped_at, destroyed_at}');
call ops.show_people('ops.outbox', '{id, tenant_id, created_at}');
call ops.show_people('ops.quarantine', '{id, queue, tenant_id, reason, status, attempts, created_at, resolved_at,
  resolved_by}');
call ops.show_people('ops.watermarks', '{job, updated_at}');
