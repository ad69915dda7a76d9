import { z } from 'zod';
import { daysKept } from './expiry.ts';

/**
 * A tenant's retention days by data type, from its active policies with auto_delete: SQL for a jsonb object (empty without
 * policies) and its parser. With the SQL, the tenant's row and its days are read in one statement. A stored policy's days are
 * raised to the minimum of its framework.
 */
export const retentionDays = {
  sql: (tenantId: string): string =>
    `coalesce((select jsonb_object_agg(p.data_type, jsonb_build_object('days', p.retention_days, 'framework', p.compliance_framework))
                 from data_retention_policies p
                where p.tenant_id = ${tenantId} and p.is_active and p.auto_delete), '{}')`,
  schema: z.record(
    z.string(),
    z
      .object({ days: z.number(), framework: z.string().nullable() })
      .transform(({ days, framework }) => daysKept(days, framework === null ? [] : [framework])),
  ),
};
