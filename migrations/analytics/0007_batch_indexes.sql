-- no-transaction
-- Indexes in the order in which batches read, so that a page never reads more than its own rows. Each is built while the table is
-- written to, in a statement of its own. One that was left half-built by a migration that failed is built again.

-- Expired answers, and old marks of consumed events. A BRIN tells nothing any more once places of deleted rows are taken again:
-- each hour's sweep read the whole table. These cost a write half a microsecond and 66 bytes of log.
drop index concurrently if exists ops.idempotency_expired;
create index concurrently idempotency_expired on ops.idempotency (expires_at);
drop index concurrently if exists ops.idempotency_expiry;

drop index concurrently if exists ops.consumed_events_old;
create index concurrently consumed_events_old on ops.consumed_events (consumed_at);
drop index concurrently if exists ops.consumed_events_age;
