import type { z } from 'zod';
import { endpoint, type GuardedEndpoint } from '../http/endpoint.ts';
import type { Resource, Verb } from './resource.ts';
import { listResource, readResource } from './read-resource.ts';
import { resourceSchemas } from './resource-schemas.ts';
import { createResource, deactivateResource, deleteResource, replaceResource } from './write-resource.ts';

/** The id in a path: the one parameter of these routes. */
function idOf(resource: Resource, params: Readonly<Record<string, unknown>>): string {
  return String(params[resource.idColumn]);
}

/** The routes of a declared resource, those of its verbs. */
export function resourceEndpoints<Body extends z.ZodObject>(declared: Resource<Body>): GuardedEndpoint[] {
  const resource: Resource = declared;
  return resource.verbs.map((verb) => SERVE[verb](resource));
}

const SERVE: Readonly<Record<Verb, (resource: Resource) => GuardedEndpoint>> = {
  create: serveCreate,
  list: serveList,
  read: serveRead,
  replace: serveReplace,
  delete: (resource) => serveRemoval(resource, 'delete'),
  deactivate: (resource) => serveRemoval(resource, 'deactivate'),
};

function common(resource: Resource, verb: string) {
  return {
    name: `${resource.name}-${verb}`,
    tag: resource.name,
    ...(resource.description === undefined ? {} : { description: resource.description }),
  };
}

function writing(resource: Resource) {
  return { permission: resource.permissions.write, openToSuspended: resource.essential ?? false };
}

function serveCreate(resource: Resource): GuardedEndpoint {
  const { row } = resourceSchemas(resource);
  return endpoint({
    ...common(resource, 'create'),
    ...writing(resource),
    method: 'POST',
    path: `v1/${resource.name}`,
    summary: `Make a ${resource.one}`,
    body: resource.body,
    responses: { 201: { description: 'Made.', schema: row, headers: ['Location', 'ETag'] } },
    run: (call, { body }) => createResource(call, resource, body),
  });
}

function serveList(resource: Resource): GuardedEndpoint {
  const { query: schema, page } = resourceSchemas(resource);
  return endpoint({
    ...common(resource, 'list'),
    permission: resource.permissions.read,
    method: 'GET',
    path: `v1/${resource.name}`,
    summary: `List ${resource.name.replaceAll('-', ' ')}`,
    query: schema,
    responses: { 200: { description: 'A page.', schema: page, headers: ['Link'] } },
    run: (call, { query, url }) => listResource(call, resource, query, url),
  });
}

function serveRead(resource: Resource): GuardedEndpoint {
  const { params: schema, row } = resourceSchemas(resource);
  return endpoint({
    ...common(resource, 'read'),
    permission: resource.permissions.read,
    method: 'GET',
    path: `v1/${resource.name}/{${resource.idColumn}}`,
    summary: `Read a ${resource.one}`,
    params: schema,
    responses: {
      200: { description: `The ${resource.one}.`, schema: row, headers: ['ETag'] },
      304: { description: 'If-None-Match names this version.', headers: ['ETag'] },
    },
    run: (call, { params, ifNoneMatch }) => readResource(call, resource, idOf(resource, params), ifNoneMatch),
  });
}

function serveReplace(resource: Resource): GuardedEndpoint {
  const { params: schema, row } = resourceSchemas(resource);
  return endpoint({
    ...common(resource, 'replace'),
    ...writing(resource),
    method: 'PUT',
    path: `v1/${resource.name}/{${resource.idColumn}}`,
    summary: `Replace a ${resource.one} as a whole; needs If-Match`,
    ifMatch: 'required',
    params: schema,
    body: resource.body,
    responses: { 200: { description: 'Replaced.', schema: row, headers: ['ETag'] } },
    run: (call, { params, body, ifMatch }) =>
      replaceResource(call, resource, idOf(resource, params), body, ifMatch),
  });
}

function serveRemoval(resource: Resource, verb: 'delete' | 'deactivate'): GuardedEndpoint {
  const { params: schema } = resourceSchemas(resource);
  const remove = verb === 'delete' ? deleteResource : deactivateResource;
  return endpoint({
    ...common(resource, verb),
    ...writing(resource),
    method: 'DELETE',
    path: `v1/${resource.name}/{${resource.idColumn}}`,
    summary:
      verb === 'delete' ? `Delete a ${resource.one}` : `Deactivate a ${resource.one}; it stays readable`,
    ifMatch: 'optional',
    params: schema,
    responses: { 204: { description: verb === 'delete' ? 'Deleted.' : 'Active no more.' } },
    run: (call, { params, ifMatch }) => remove(call, resource, idOf(resource, params), ifMatch),
  });
}
