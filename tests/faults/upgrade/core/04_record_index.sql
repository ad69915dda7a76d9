-- phase: expand
-- Of the parent only, which takes no time: partitions-make builds it in each partition.
-- squawk-ignore require-concurrent-index-creation
create index storage_records_detector on only storage_records (tenant_id, detector, id);
