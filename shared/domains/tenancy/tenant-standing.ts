/** SQL that is true for an existing tenant that is not erased. The data of an erased tenant can no longer be decrypted. */
export function notErasedSql(tenantId: string): string {
  return `exists (select from tenants t where t.tenant_id = ${tenantId} and t.status <> 'erased')`;
}
