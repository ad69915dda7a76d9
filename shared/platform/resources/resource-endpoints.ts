import type { z } from 'zod';
import { endpoint, type GuardedEndpoint } from '../http/endpoint.ts';
import { tenantParams } from '../http/fields.ts';
import { collectionOf } from './collection.ts';
import {
  collectionPathOf,
  isVersioned,
  operationOf,
  operatorVerbsOf,
  writePermissionOf,
  type Resource,
  type Verb,
} from './resource.ts';
import { listResource, readResource } from './read-resource.ts';
import { resourceSchemas } from './resource-schemas.ts';
import { createResource, deactivateResource, deleteResource, replaceResource } from './write-resource.ts';

/** A resource's routes of one kind: for the owners of its rows, or for operators, who name the owner. */
interface Served {
  readonly resource: Resource;
  readonly forOperators: boolean;
}

/** The routes of declared resources, for their verbs and their operators' verbs. */
export function resourceEndpoints(resources: readonly Resource[]): GuardedEndpoint[] {
  return resources.flatMap((resource) => [
    ...resource.verbs.map((verb) => SERVE[verb]({ resource, forOperators: false })),
    ...operatorVerbsOf(resource).map((verb) => SERVE[verb]({ resource, forOperators: true })),
  ]);
}

const SERVE: Readonly<Record<Verb, (served: Served) => GuardedEndpoint>> = {
  create: serveCreate,
  list: serveList,
  read: serveRead,
  replace: serveReplace,
  delete: (served) => serveRemoval(served, 'delete'),
  deactivate: (served) => serveRemoval(served, 'deactivate'),
};

/** The id in a path: its last parameter. */
function idOf(resource: Resource, params: Readonly<Record<string, unknown>>): string {
  return String(params[resource.idColumn]);
}

function collectionPath({ resource, forOperators }: Served): string {
  return `v1/${collectionPathOf(resource, forOperators)}`;
}

function rowPath(served: Served): string {
  return `${collectionPath(served)}/{${served.resource.idColumn}}`;
}

/** A route's parameters. In an operator's route, they follow the tenant. */
function paramsOf<S extends z.ZodObject | undefined>({ forOperators }: Served, schema: S): S | z.ZodObject {
  return forOperators ? tenantParams.extend(schema?.shape ?? {}) : schema;
}

function common({ resource, forOperators }: Served, verb: Verb, summary: string) {
  return {
    name: operationOf(resource, verb, forOperators),
    tag: resource.name,
    summary: forOperators ? `As an operator, for a tenant: ${summary}` : capitalized(summary),
    forNamedTenant: forOperators,
  };
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function reading({ resource, forOperators }: Served) {
  return { permission: forOperators ? ('platform:operate' as const) : resource.permissions.read };
}

function writing({ resource, forOperators }: Served) {
  return {
    permission: forOperators ? ('platform:operate' as const) : writePermissionOf(resource),
    openToSuspended: resource.essential ?? false,
  };
}

function etagOf(resource: Resource): { headers?: readonly string[] } {
  return isVersioned(resource) ? { headers: ['ETag'] } : {};
}

function serveCreate(served: Served): GuardedEndpoint {
  const { resource } = served;
  const { row, newRow, parentParams } = resourceSchemas(resource);
  return endpoint({
    ...common(served, 'create', `make a ${resource.one}`),
    ...writing(served),
    method: 'POST',
    path: collectionPath(served),
    params: paramsOf(served, parentParams),
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

function serveList(served: Served): GuardedEndpoint {
  const { resource } = served;
  const { query: schema, page, parentParams } = resourceSchemas(resource);
  return endpoint({
    ...common(served, 'list', `list ${resource.name.replaceAll('-', ' ')}`),
    ...reading(served),
    method: 'GET',
    path: collectionPath(served),
    params: paramsOf(served, parentParams),
    query: schema,
    responses: { 200: { description: 'A page.', schema: page, headers: ['Link'] } },
    run: (call, { params, query, url }) =>
      listResource(call, collectionOf(call, resource, params), query, url),
  });
}

function serveRead(served: Served): GuardedEndpoint {
  const { resource } = served;
  const { params: schema, row } = resourceSchemas(resource);
  return endpoint({
    ...common(served, 'read', `read a ${resource.one}`),
    ...reading(served),
    method: 'GET',
    path: rowPath(served),
    params: paramsOf(served, schema),
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

function serveReplace(served: Served): GuardedEndpoint {
  const { resource } = served;
  const { params: schema, row } = resourceSchemas(resource);
  return endpoint({
    ...common(served, 'replace', `replace a ${resource.one} as a whole; needs If-Match`),
    ...writing(served),
    method: 'PUT',
    path: rowPath(served),
    ifMatch: 'required',
    params: paramsOf(served, schema),
    body: resource.body,
    responses: { 200: { description: 'Replaced.', schema: row, headers: ['ETag'] } },
    run: (call, { params, body, ifMatch }) =>
      replaceResource(call, collectionOf(call, resource, params), idOf(resource, params), body, ifMatch),
  });
}

function serveRemoval(served: Served, verb: 'delete' | 'deactivate'): GuardedEndpoint {
  const { resource } = served;
  const { params: schema } = resourceSchemas(resource);
  const remove = verb === 'delete' ? deleteResource : deactivateResource;
  const summary =
    verb === 'delete' ? `delete a ${resource.one}` : `deactivate a ${resource.one}; it stays readable`;
  return endpoint({
    ...common(served, verb, summary),
    ...writing(served),
    method: 'DELETE',
    path: rowPath(served),
    ...(isVersioned(resource) ? { ifMatch: 'optional' as const } : {}),
    params: paramsOf(served, schema),
    responses: { 204: { description: verb === 'delete' ? 'Deleted.' : 'No longer active.' } },
    run: (call, { params, ifMatch }) =>
      remove(call, collectionOf(call, resource, params), idOf(resource, params), ifMatch),
  });
}
