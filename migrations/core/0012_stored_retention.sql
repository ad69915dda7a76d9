-- What was stored before retention's rules were as they are. Row security binds the owner too, so it is not forced meanwhile.
alter table data_retention_policies no force row level security;
alter table tenant_configs no force row level security;

-- Policies for the audit trail are refused now. Nothing ever followed them: nothing deletes audit entries.
update data_retention_policies set is_active = false, updated_at = now(), version = version + 1
 where data_type = 'audit_logs' and is_active;

-- Policies that may undercut a framework's minimum (2190 days are the longest) are applied once more, now with the minimum.
update data_retention_policies p set applied_at = null
 where is_active and retention_days < 2190
   and (compliance_framework is not null or exists (
     select from tenant_configs c where c.tenant_id = p.tenant_id and c.config_data->'frameworks' <> '[]'));

alter table data_retention_policies force row level security;
alter table tenant_configs force row level security;
