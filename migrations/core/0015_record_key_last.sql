-- While a partition of a day is nearly empty, all its indexes that contain tenant_id and id cost the planner the same, and it then
-- takes the one that was made last. A read by id has its day in its text, so it is planned just then, and the server keeps that
-- plan as the day fills: by any other index it would read all entries of the tenant. So the primary key is made last, here and
-- with it in each new partition. Takes the table's lock while the indexes are built.

alter table storage_records drop constraint storage_records_pkey;
alter table storage_records add primary key (tenant_id, id, partition_day);
