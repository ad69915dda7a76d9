import { endpoint, type GuardedEndpoint } from '../http/endpoint.ts';
import { collectionOf } from './collection.ts';
import { collectionPathOf, isVersioned, writePermissionOf, type Resource, type Verb } from './resource.ts';
import { listResource, readResource } from './read-resource.ts';
import { resourceSchemas } from './resource-schemas.ts';
import { createResource, deactivateResource, deleteResource, replaceResource } from './write-resource.ts';

/** The routes of declared resources, those of their verbs. */
export function resourceEndpoints(resources: readonly Resource[]): GuardedEndpoint[] {
  return resources.flatMap((resource) => resource.verbs.map((verb) => SERVE[verb](resource)));
}

const SERVE: Readonly<Record<Verb, (resource: Resource) => GuardedEndpoint>> = {
  create: serveCreate,
  list: serveList,
  read: serveRead,
  replace: serveReplace,
  delete: (resource) => serveRemoval(resource, 'delete'),
  deactivate: (resource) => serveRemoval(resource, 'deactivate'),
};

/** The id in a path: the last of these routes' parameters. */
function idOf(resource: Resource, params: Readonly<Record<string, unknown>>): string {
  return String(params[resource.idColumn]);
}

function rowPathOf(resource: Resource): string {
  return `v1/${collectionPathOf(resource)}/{${resource.idColumn}}`;
}

function common(resource: Resource, verb: Verb) {
  return {
    name: `${resource.name}-${verb}`,
    tag: resource.name,
    ...(resource.description === undefined ? {} : { description: resource.description }),
  };
}

function writing(resource: Resource) {
  return { permission: writePermissionOf(resource), openToSuspended: resource.essential ?? false };
}

function etagOf(resource: Resource): { headers?: readonly string[] } {
  return isVersioned(resource) ? { headers: ['ETag'] } : {};
}

function serveCreate(resource: Resource): GuardedEndpoint {
  const { row, newRow, parentParams } = resourceSchemas(resource);
  return endpoint({
    ...common(resource, 'create'),
    ...writing(resource),
    method: 'POST',
    path: `v1/${collectionPathOf(resource)}`,
    summary: `Make a ${resource.one}`,
    params: parentParams,
    body: newRow,
    responses: {
      201: {
        description: 'Made.',
        schema: row,
        headers: ['Location', ...(etagOf(resource).headers ?? [])],
      },
    },
    run: (call, { params, body }) => createResource(call, collectionOf(call, resource, params), body),
  });
}

function serveList(resource: Resource): GuardedEndpoint {
  const { query: schema, page, parentParams } = resourceSchemas(resource);
  return endpoint({
    ...common(resource, 'list'),
    permission: resource.permissions.read,
    method: 'GET',
    path: `v1/${collectionPathOf(resource)}`,
    summary: `List ${resource.name.replaceAll('-', ' ')}`,
    params: parentParams,
    query: schema,
    responses: { 200: { description: 'A page.', schema: page, headers: ['Link'] } },
    run: (call, { params, query, url }) =>
      listResource(call, collectionOf(call, resource, params), query, url),
  });
}

function serveRead(resource: Resource): GuardedEndpoint {
  const { params: schema, row } = resourceSchemas(resource);
  return endpoint({
    ...common(resource, 'read'),
    permission: resource.permissions.read,
    method: 'GET',
    path: rowPathOf(resource),
    summary: `Read a ${resource.one}`,
    params: schema,
    responses: {
      200: { description: `The ${resource.one}.`, schema: row, ...etagOf(resource) },
      ...(isVersioned(resource)
        ? { 304: { description: 'If-None-Match names this version.', headers: ['ETag'] } }
        : {}),
    },
    run: (call, { params, ifNoneMatch }) =>
      readResource(call, collectionOf(call, resource, params), idOf(resource, params), ifNoneMatch),
  });
}

function serveReplace(resource: Resource): GuardedEndpoint {
  const { params: schema, row } = resourceSchemas(resource);
  return endpoint({
    ...common(resource, 'replace'),
    ...writing(resource),
    method: 'PUT',
    path: rowPathOf(resource),
    summary: `Replace a ${resource.one} as a whole; needs If-Match`,
    ifMatch: 'required',
    params: schema,
    body: resource.body,
    responses: { 200: { description: 'Replaced.', schema: row, headers: ['ETag'] } },
    run: (call, { params, body, ifMatch }) =>
      replaceResource(call, collectionOf(call, resource, params), idOf(resource, params), body, ifMatch),
  });
}

function serveRemoval(resource: Resource, verb: 'delete' | 'deactivate'): GuardedEndpoint {
  const { params: schema } = resourceSchemas(resource);
  const remove = verb === 'delete' ? deleteResource : deactivateResource;
  return endpoint({
    ...common(resource, verb),
    ...writing(resource),
    method: 'DELETE',
    path: rowPathOf(resource),
    summary:
      verb === 'delete' ? `Delete a ${resource.one}` : `Deactivate a ${resource.one}; it stays readable`,
    ...(isVersioned(resource) ? { ifMatch: 'optional' as const } : {}),
    params: schema,
    responses: { 204: { description: verb === 'delete' ? 'Deleted.' : 'No longer active.' } },
    run: (call, { params, ifMatch }) =>
      remove(call, collectionOf(call, resource, params), idOf(resource, params), ifMatch),
  });
}
