import {
  assignRole,
  endAssignment,
  listAssignments,
} from '../../shared/domains/identity/people/assignments.ts';
import { listMembers, readMember } from '../../shared/domains/identity/people/members.ts';
import {
  assignment,
  assignments,
  member,
  membersQuery,
  newAssignment,
  userParams,
  userRoleParams,
} from '../../shared/domains/identity/people/person-schemas.ts';
import { removeMember } from '../../shared/domains/identity/people/remove-member.ts';
import {
  readPersonErasure,
  requestPersonErasure,
} from '../../shared/domains/erasure/request-person-erasure.ts';
import { erasure, newPersonErasure } from '../../shared/domains/erasure/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

const common = { tag: 'users', openToSuspended: true } as const;
const reads = { ...common, permission: 'users:read' } as const;
const writes = { ...common, permission: 'users:manage' } as const;

export const usersEndpoints = [
  endpoint({
    ...reads,
    name: 'users-list',
    method: 'GET',
    path: 'v1/users',
    summary: 'List the people who have a role in the tenant',
    query: membersQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(member), headers: ['Link'] } },
    run: (call, { query, url }) => listMembers(call, query, url),
  }),
  endpoint({
    ...reads,
    name: 'users-read',
    method: 'GET',
    path: 'v1/users/{user_id}',
    summary: 'Read a member',
    params: userParams,
    responses: { 200: { description: 'The member.', schema: member } },
    run: (call, { params }) => readMember(call, params.user_id),
  }),
  endpoint({
    ...writes,
    name: 'users-remove',
    method: 'DELETE',
    path: 'v1/users/{user_id}',
    summary: 'Remove a person from the tenant',
    description:
      'Their roles, sessions and pending invitations here end. The person and their other tenants stay. Not the last owner.',
    params: userParams,
    responses: { 204: { description: 'Removed.' } },
    run: (call, { params }) => removeMember(call, params.user_id),
  }),
  endpoint({
    ...writes,
    name: 'users-erasure-request',
    method: 'POST',
    path: 'v1/users/{user_id}/erasure',
    summary: 'Request the erasure of a person within the tenant',
    description:
      'The membership ends at once. The timer `tenant-erasures` does the rest, and a legal hold of the tenant stops it. Not the last owner.',
    params: userParams,
    body: newPersonErasure,
    responses: { 202: { description: 'Requested.', schema: erasure } },
    run: (call, { params, body }) => requestPersonErasure(call, params.user_id, body),
  }),
  endpoint({
    ...reads,
    name: 'users-erasure-read',
    method: 'GET',
    path: 'v1/users/{user_id}/erasure',
    summary: 'Read how far a person’s erasure is, and its report',
    params: userParams,
    responses: { 200: { description: 'The erasure.', schema: erasure } },
    run: (call, { params }) => readPersonErasure(call, call.tenant.tenantId, params.user_id),
  }),
  endpoint({
    ...reads,
    name: 'users-roles-list',
    method: 'GET',
    path: 'v1/users/{user_id}/roles',
    summary: 'List a person’s roles in the tenant, also the ended ones',
    params: userParams,
    responses: { 200: { description: 'The roles, newest first.', schema: assignments } },
    run: (call, { params }) => listAssignments(call, params.user_id),
  }),
  endpoint({
    ...writes,
    name: 'users-roles-assign',
    method: 'POST',
    path: 'v1/users/{user_id}/roles',
    summary: 'Give a member a role, or change when it ends',
    description: 'Nobody gives what they do not hold, nor for longer. Who is no member is invited instead.',
    params: userParams,
    body: newAssignment,
    responses: {
      200: { description: 'The member had the role: its end is changed.', schema: assignment },
      201: { description: 'Given.', schema: assignment, headers: ['Location'] },
    },
    run: (call, { params, body }) => assignRole(call, params.user_id, body),
  }),
  endpoint({
    ...writes,
    name: 'users-roles-end',
    method: 'DELETE',
    path: 'v1/users/{user_id}/roles/{role_name}',
    summary: 'End a member’s role',
    params: userRoleParams,
    responses: { 204: { description: 'Ended.' } },
    run: (call, { params }) => endAssignment(call, params.user_id, params.role_name),
  }),
];
