-- phase: expand
-- The new name of a column: builds write the old one or the new one, and the other follows.
create function ops.keep_note() returns trigger language plpgsql as $$
begin
  new.note := coalesce(new.note, new.detector);
  return new;
end $$;
create trigger keep_note before insert or update on mapper_requests
  for each row execute function ops.keep_note();
