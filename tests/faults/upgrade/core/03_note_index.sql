-- phase: expand
-- no-transaction
create index concurrently if not exists mapper_requests_note on mapper_requests (tenant_id, note);
