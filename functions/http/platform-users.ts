import {
  platformUser,
  platformUserDetail,
  platformUsersQuery,
  userParams,
} from '../../shared/domains/identity/people/person-schemas.ts';
import {
  deactivateUser,
  listPlatformUsers,
  reactivateUser,
  readPlatformUser,
  unlockUser,
} from '../../shared/domains/identity/people/platform-users.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

const common = { tag: 'platform', permission: 'platform:operate' } as const;
const changed = { 200: { description: 'The person as it is now.', schema: platformUserDetail } } as const;

export const platformUsersEndpoints = [
  endpoint({
    ...common,
    name: 'platform-users-list',
    method: 'GET',
    path: 'v1/platform/users',
    summary: 'List people',
    query: platformUsersQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(platformUser), headers: ['Link'] } },
    run: (call, { query, url }) => listPlatformUsers(call, query, url),
  }),
  endpoint({
    ...common,
    name: 'platform-users-read',
    method: 'GET',
    path: 'v1/platform/users/{user_id}',
    summary: 'Read a person, with their tenants',
    params: userParams,
    responses: { 200: { description: 'The person.', schema: platformUserDetail } },
    run: (call, { params }) => readPlatformUser(call, params.user_id),
  }),
  endpoint({
    ...common,
    name: 'platform-users-deactivate',
    method: 'POST',
    path: 'v1/platform/users/{user_id}/deactivate',
    summary: 'Deactivate a person in every tenant; their sessions end',
    description: 'Not while a tenant has no other owner.',
    params: userParams,
    responses: changed,
    run: (call, { params }) => deactivateUser(call, params.user_id),
  }),
  endpoint({
    ...common,
    name: 'platform-users-reactivate',
    method: 'POST',
    path: 'v1/platform/users/{user_id}/reactivate',
    summary: 'Let a deactivated person sign in again',
    params: userParams,
    responses: changed,
    run: (call, { params }) => reactivateUser(call, params.user_id),
  }),
  endpoint({
    ...common,
    name: 'platform-users-unlock',
    method: 'POST',
    path: 'v1/platform/users/{user_id}/unlock',
    summary: 'End the pause after failed sign-ins; their sessions end',
    params: userParams,
    responses: changed,
    run: (call, { params }) => unlockUser(call, params.user_id),
  }),
];
