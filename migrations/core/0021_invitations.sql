-- phase: expand
-- An invitation answers to a person, as a key does: what this person no longer holds when it is accepted, it no longer gives.

alter table ops.invitations add column invited_by_user uuid;

-- One open invitation of an address and tenant. The table is of the same release, so it is empty and no build before writes it.
-- allow tightening-in-contract: as above.
-- squawk-ignore require-concurrent-index-creation
create unique index invitations_open on ops.invitations (tenant_id, email) where accepted_at is null and revoked_at is null;
