-- no-transaction
-- Indexes in the order in which batches read, so that a page never reads more than its own rows. Each is built while the table is
-- written to, in a statement of its own. One that was left half-built by a migration that failed is built again.

-- The newest blobs, page by page; many are written at one instant.
drop index concurrently if exists ops.blobs_written;
create index concurrently blobs_written on ops.blobs (created_at, tenant_id, blob_name) where deleted_at is null;
drop index concurrently if exists ops.blobs_by_age;

-- Expired answers. Its BRIN told nothing any more once places of deleted rows were taken again, a day after the first answer: each
-- hour's sweep read the whole table. This one costs a write half a microsecond and 66 bytes of log.
drop index concurrently if exists ops.idempotency_expired;
create index concurrently idempotency_expired on ops.idempotency (expires_at);
drop index concurrently if exists ops.idempotency_expiry;

-- Runs that did nothing, which the sweep deletes, and those that are open, which the next run of their job looks for.
drop index concurrently if exists retention_runs_idle;
create index concurrently retention_runs_idle on retention_runs (started_at)
  where status in ('completed', 'skipped') and examined = 0 and deleted = 0;
drop index concurrently if exists retention_runs_open;
create index concurrently retention_runs_open on retention_runs (job) where status = 'running';
