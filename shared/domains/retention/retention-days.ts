/**
 * SQL for a tenant's own days by data type, of its active policies that delete: a jsonb object, empty without any. It lets
 * whoever reads a tenant have them in the same statement.
 */
export function retentionDaysSql(tenantId: string): string {
  return `coalesce((select jsonb_object_agg(p.data_type, p.retention_days) from data_retention_policies p
                     where p.tenant_id = ${tenantId} and p.is_active and p.auto_delete), '{}')`;
}
