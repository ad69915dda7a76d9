-- phase: expand
-- no-transaction
-- What went wrong, by tenant and time: alerts count it in a window, and must not read what went well. The indexes are partial, so a
-- write that goes well does not pay for them. Each is built while the table is written to; one that was left half-built by a migration
-- that failed is built again.

drop index concurrently if exists orchestration_responses_lacking;
create index concurrently if not exists orchestration_responses_lacking on orchestration_responses (tenant_id, created_at)
  where error is not null or fallback_used;

drop index concurrently if exists detector_results_failing;
create index concurrently if not exists detector_results_failing on detector_results (tenant_id, created_at)
  where status in ('failed', 'timeout', 'unavailable');
