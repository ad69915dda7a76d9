-- no-transaction
-- The blobs in the order in which they were written: the newest are compared with their records first.
create index concurrently blobs_by_age on ops.blobs (created_at) where deleted_at is null;
