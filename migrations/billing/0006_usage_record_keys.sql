-- One index less for each usage record. What tells a record from every other one is its event; its id is a hash of that, and
-- nothing looks a record up by it. Takes the table's lock while the index is built.

alter table usage_records drop constraint usage_records_pkey;
alter table usage_records drop constraint usage_records_tenant_id_event_source_event_id_occurred_at_key;
alter table usage_records add primary key (tenant_id, event_source, event_id, occurred_at);
