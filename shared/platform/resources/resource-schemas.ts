import { z } from 'zod';
import { pageOf, pageQuery } from '../http/pagination.ts';
import { uuid } from '../ids/uuid.ts';
import { ancestorsOf, isVersioned, timeFieldOf, type Resource } from './resource.ts';

function idSchemaOf(resource: Resource): z.ZodType<string> {
  return resource.idSchema ?? uuid;
}

function rowOf(resource: Resource): z.ZodObject {
  const { parent } = resource;
  return z.object({
    ...(resource.scope === 'shared'
      ? { tenant_id: z.string().describe('`platform` for a default that all tenants share.') }
      : {}),
    ...(parent === undefined ? {} : { [parent.column]: idSchemaOf(parent.resource) }),
    [resource.idColumn]: idSchemaOf(resource),
    ...resource.body.shape,
    ...resource.readOnly,
    created_at: z.string(),
    ...(isVersioned(resource)
      ? { updated_at: z.string(), etag: z.string().describe('The version, for If-Match.') }
      : {}),
  });
}

function makeSchemas(resource: Resource) {
  const { idColumn, idSchema } = resource;
  const row = rowOf(resource);
  const time = timeFieldOf(resource);
  const filters = Object.fromEntries(
    Object.entries(resource.filters ?? {}).map(([name, schema]) => [name, schema.optional()]),
  );
  const parentParams = Object.fromEntries(
    ancestorsOf(resource).map((parent) => [parent.column, idSchemaOf(parent.resource)]),
  );
  return {
    /** The parents' ids in a list's path; undefined without a parent. */
    parentParams: resource.parent === undefined ? undefined : z.object(parentParams),
    params: z.object({ ...parentParams, [idColumn]: idSchemaOf(resource) }),
    query: z.object({
      ...pageQuery,
      sort: z
        .enum([time, `-${time}`])
        .default(`-${time}`)
        .describe('`-` is newest first.'),
      ...filters,
    }),
    /** The body that creates a row. It has the id too if clients choose it. */
    newRow: idSchema === undefined ? resource.body : resource.body.extend({ [idColumn]: idSchema }),
    row,
    page: pageOf(row),
  };
}

const made = new WeakMap<Resource, ReturnType<typeof makeSchemas>>();

/**
 * The schemas of a resource's routes. The routes share them, because making them for each route would slow down every start.
 */
export function resourceSchemas(resource: Resource): ReturnType<typeof makeSchemas> {
  let schemas = made.get(resource);
  if (schemas === undefined) {
    schemas = makeSchemas(resource);
    made.set(resource, schemas);
  }
  return schemas;
}
