-- One index less for each entry of the trail. The primary key in the order of the pages serves them too; an entry is read by an
-- id that begins with its time. Takes the table's lock while the index is built.

alter table audit_logs drop constraint audit_logs_pkey;
drop index audit_logs_page;
alter table audit_logs add primary key (tenant_id, created_at, id);
