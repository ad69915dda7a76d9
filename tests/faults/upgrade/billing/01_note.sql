-- phase: expand
-- A column with a constant default: no row is written again.
alter table usage_records add column note text not null default '';
