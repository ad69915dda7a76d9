-- phase: expand
-- no-transaction
-- The data keys of a version of the key-encryption key, in the order in which they are wrapped again, and the API keys of a pepper.
-- Each index is built while the table is written to; one that was left half-built by a migration that failed is built again.

drop index concurrently if exists ops.data_keys_by_version;
create index concurrently if not exists data_keys_by_version on ops.data_keys (wrapped_with, tenant_id, key_id)
  where wrapped_key is not null;

drop index concurrently if exists api_keys_by_pepper;
create index concurrently if not exists api_keys_by_pepper on api_keys (pepper_id, key_id)
  where revoked_at is null;
