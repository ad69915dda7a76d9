-- phase: expand
-- Which pepper an API key's hash is made with: a short id of the pepper, which tells nothing of it. Null: not known yet, of a key
-- from before this column. The key's next use fills it in.
alter table api_keys add column pepper_id text;

-- When a version of the key-encryption key last opened or wrapped a data key, to the hour. A version that is not used is not written.
create table ops.key_versions (
  version      text primary key,
  last_used_at timestamptz not null
);
grant select, insert, update on ops.key_versions to comply_jobs;
call ops.show_people('ops.key_versions', '{version, last_used_at}');
