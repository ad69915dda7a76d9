-- A mapping that was less sure than its tenant's cutoff waits for somebody to confirm or reject it. Null: no review was
-- needed, or there is no response yet.
alter table mapper_requests
  add column review_status text check (review_status in ('needs_review', 'confirmed', 'rejected')),
  add column review_note text,
  add column reviewed_by text,
  add column reviewed_at timestamptz,
  add check ((reviewed_at is not null) = (review_status is not null and review_status <> 'needs_review'));
create index mapper_requests_review on mapper_requests (tenant_id, review_status, created_at desc, request_id desc)
  where review_status is not null;

-- Whether a try was less sure than its detector's threshold when it was recorded: it then does not count for coverage.
alter table detector_results add column below_threshold boolean not null default false;
