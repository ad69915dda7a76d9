-- phase: expand
-- Roles that come from tokens. Tokens arrive in any order, and the newest one counts.

-- Of an assignment with the source `token`: when the newest token that was seen was issued, whether it has the role or not.
alter table user_role_assignments add column issued_at timestamptz;
