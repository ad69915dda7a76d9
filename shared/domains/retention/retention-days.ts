import { z } from 'zod';
import { daysKept } from './expiry.ts';

/**
 * A tenant's own days by data type, of its active policies that delete: SQL for a jsonb object, empty without any, and how that is
 * read. It lets whoever reads a tenant have them in the same statement. A stored policy does not undercut the framework that it
 * names.
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
