-- phase: expand
-- A column that older builds leave out.
alter table mapper_requests add column note text;
