-- phase: contract
-- after-release: {release}
drop trigger keep_note on mapper_requests;
drop function ops.keep_note();
alter table mapper_requests drop constraint mapper_requests_note_check;
alter table mapper_requests drop column note;
