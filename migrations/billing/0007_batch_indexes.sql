-- no-transaction
-- Indexes in the order in which batches read, so that a page never reads more than its own rows. Each is built while the table is
-- written to, in a statement of its own. One that was left half-built by a migration that failed is built again.

-- Old reservations, page by page; a request reserves several at one instant.
drop index concurrently if exists ops.usage_reservations_old;
create index concurrently usage_reservations_old on ops.usage_reservations (created_at, tenant_id, reservation_id);
drop index concurrently if exists ops.usage_reservations_age;

-- Expired answers. Its BRIN told nothing any more once places of deleted rows were taken again, a day after the first answer: each
-- hour's sweep read the whole table. This one costs a write half a microsecond and 66 bytes of log.
drop index concurrently if exists ops.idempotency_expired;
create index concurrently idempotency_expired on ops.idempotency (expires_at);
drop index concurrently if exists ops.idempotency_expiry;
