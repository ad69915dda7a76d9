/** SQL that is true for a tenant that exists and was not erased: of an erased one, nothing can be opened any more. */
export function notErasedSql(tenantId: string): string {
  return `exists (select from tenants t where t.tenant_id = ${tenantId} and t.status <> 'erased')`;
}
