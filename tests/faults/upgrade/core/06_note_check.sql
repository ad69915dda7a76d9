-- phase: contract
-- after-release: {release}
-- no-transaction
-- Only new rows are checked under the lock; validating reads the others without stopping anybody.
alter table mapper_requests drop constraint if exists mapper_requests_note_check;
alter table mapper_requests add constraint mapper_requests_note_check check (note is not null) not valid;
alter table mapper_requests validate constraint mapper_requests_note_check;
