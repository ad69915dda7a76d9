import {
  createRole,
  deleteRole,
  listRoles,
  readRole,
  replaceRole,
} from '../../shared/domains/identity/roles/roles.ts';
import {
  changedRole,
  newRole,
  role,
  roleParams,
  rolesQuery,
} from '../../shared/domains/identity/roles/role-schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

const common = { tag: 'roles', openToSuspended: true } as const;
const reads = { ...common, permission: 'users:read' } as const;
const writes = { ...common, permission: 'roles:manage' } as const;

export const rolesEndpoints = [
  endpoint({
    ...reads,
    name: 'roles-list',
    method: 'GET',
    path: 'v1/roles',
    summary: 'List the roles that people can have: the seeded ones and the tenant’s own',
    query: rolesQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(role), headers: ['Link'] } },
    run: (call, { query, url }) => listRoles(call, query, url),
  }),
  endpoint({
    ...reads,
    name: 'roles-read',
    method: 'GET',
    path: 'v1/roles/{role_name}',
    summary: 'Read a role',
    params: roleParams,
    responses: {
      200: { description: 'The role.', schema: role, headers: ['ETag'] },
      304: { description: 'It is unchanged.', headers: ['ETag'] },
    },
    run: (call, { params, ifNoneMatch }) => readRole(call, params.role_name, ifNoneMatch),
  }),
  endpoint({
    ...writes,
    name: 'roles-create',
    method: 'POST',
    path: 'v1/roles',
    summary: 'Make a role of the tenant’s own, of permissions that the caller holds',
    body: newRole,
    responses: { 201: { description: 'Made.', schema: role, headers: ['Location', 'ETag'] } },
    run: (call, { body }) => createRole(call, body),
  }),
  endpoint({
    ...writes,
    name: 'roles-replace',
    method: 'PUT',
    path: 'v1/roles/{role_name}',
    summary: 'Change a role of the tenant’s own',
    description: 'It counts for all people who have the role within five seconds.',
    ifMatch: 'required',
    params: roleParams,
    body: changedRole,
    responses: { 200: { description: 'Changed.', schema: role, headers: ['ETag'] } },
    run: (call, { params, body, ifMatch }) => replaceRole(call, params.role_name, body, ifMatch),
  }),
  endpoint({
    ...writes,
    name: 'roles-delete',
    method: 'DELETE',
    path: 'v1/roles/{role_name}',
    summary: 'Delete a role of the tenant’s own that nobody has',
    ifMatch: 'required',
    params: roleParams,
    responses: { 204: { description: 'Deleted.' } },
    run: (call, { params, ifMatch }) => deleteRole(call, params.role_name, ifMatch),
  }),
];
