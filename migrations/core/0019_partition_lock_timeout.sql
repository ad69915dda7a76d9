-- phase: expand
-- These functions lock a table that every request uses. While one waits for that lock behind a long transaction, all requests
-- wait behind it: until now for as long as a statement may run, ten seconds and more. They give up after a second, the requests
-- go on, and the caller tries again.

alter function ops.make_partition(text, text, date) set lock_timeout = '1s';
alter function ops.index_partition(text, boolean) set lock_timeout = '1s';
alter function ops.drop_partition(text, text, timestamptz) set lock_timeout = '1s';
