-- phase: expand
-- Making a partition locks a table that every consumer uses. While it waits for that lock behind a long transaction, all others
-- wait behind it: until now for as long as a statement may run, ten seconds. It gives up after a second, the others go on, and
-- the caller tries again.

alter function ops.make_partition(text, text, date) set lock_timeout = '1s';
