import { z } from 'zod';
import { pageOf, pageQuery } from '../../../platform/http/pagination.ts';
import { uuid } from '../../../platform/ids/uuid.ts';

const STATUSES = ['waiting', 'running', 'completed', 'failed', 'deleted'] as const;

/** An export, without its link. */
export const tenantExport = z.object({
  export_id: z.string(),
  status: z.enum(STATUSES).describe('`deleted`: its files were deleted when their time was over.'),
  requested_by: z.string(),
  rows: z.number().describe('Rows that are written so far.'),
  files: z.number(),
  bytes: z.number(),
  created_at: z.string(),
  completed_at: z.string().nullable(),
  delete_after: z.string().nullable().describe('When its files are deleted.'),
});
export type TenantExport = z.output<typeof tenantExport>;

/** An export with its link. */
export const tenantExportWithLink = z.object({
  ...tenantExport.shape,
  link: z
    .object({
      url: z
        .string()
        .describe('The container with all files. With `&restype=container&comp=list` it lists them.'),
      manifest_url: z.string().describe('The list of all files, with their counts and hashes.'),
      expires_at: z.string(),
    })
    .nullable()
    .describe('Made anew for each answer. Whoever has it can read the files until it expires.'),
});
export type TenantExportWithLink = z.output<typeof tenantExportWithLink>;

export const tenantExportsPage = pageOf(tenantExport);

/** `GET /tenant/exports`. */
export const tenantExportsQuery = z.object({ ...pageQuery, status: z.enum(STATUSES).optional() });

/** `{export_id}` in a path. */
export const exportParams = z.object({ export_id: uuid });
