import { z } from 'zod';
import { pageOf, pageQuery } from '../http/pagination.ts';
import type { Resource } from './resource.ts';

/** A parsed list query: paging, and the filters that the resource has. */
export type ResourceQuery = z.output<z.ZodObject<typeof pageQuery>> & Readonly<Record<string, unknown>>;

/** The schemas of a resource's routes. */
export function resourceSchemas(resource: Resource) {
  const row = z.object({
    ...(resource.scope === 'shared'
      ? { tenant_id: z.string().describe('`platform` for a default that all tenants share.') }
      : {}),
    [resource.idColumn]: z.uuid(),
    ...resource.body.shape,
    ...resource.readOnly,
    created_at: z.string(),
    updated_at: z.string(),
    etag: z.string().describe('The version, for If-Match.'),
  });
  const filters = Object.fromEntries(
    Object.entries(resource.filters ?? {}).map(([name, schema]) => [name, schema.optional()]),
  );
  return {
    params: z.object({ [resource.idColumn]: z.uuid() }),
    query: z.object({ ...pageQuery, ...filters }),
    row,
    page: pageOf(row),
  };
}
