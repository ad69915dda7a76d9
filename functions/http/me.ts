import {
  endMemberSessions,
  endOtherSessions,
  endOwnSession,
} from '../../shared/domains/identity/sessions/revoke-sessions.ts';
import {
  listMemberSessions,
  listOwnSessions,
  sessionIdParams,
  sessionsPage,
  sessionsQuery,
  userIdParams,
  userSessionParams,
} from '../../shared/domains/identity/sessions/session-views.ts';
import { changePassword } from '../../shared/domains/identity/sign-in/change-password.ts';
import { readMe, replaceNames } from '../../shared/domains/identity/sign-in/me.ts';
import { me, namesBody, passwordChange } from '../../shared/domains/identity/sign-in/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';

const own = { tag: 'me', permission: 'person', openToSuspended: true } as const;
const members = { tag: 'users', permission: 'users:manage', openToSuspended: true } as const;
const ENDED = { 204: { description: 'Ended.' } } as const;
const SESSIONS = {
  200: { description: 'A page of the open sessions.', schema: sessionsPage, headers: ['Link'] },
} as const;

/** Who calls, the own account and sessions, and the sessions of a tenant's members. */
export const meEndpoints = [
  endpoint({
    ...own,
    permission: 'authenticated',
    name: 'me-read',
    method: 'GET',
    path: 'v1/me',
    summary: 'Who calls, where, with which permissions and until when',
    responses: { 200: { description: 'The caller.', schema: me } },
    run: (call) => readMe(call),
  }),
  endpoint({
    ...own,
    name: 'me-replace',
    method: 'PUT',
    path: 'v1/me',
    summary: 'Change the own names',
    body: namesBody,
    responses: { 200: { description: 'The caller.', schema: me } },
    run: (call, { body }) => replaceNames(call, body),
  }),
  endpoint({
    ...own,
    name: 'me-password-replace',
    method: 'PUT',
    path: 'v1/me/password',
    summary: 'Change the own password; all other sessions end',
    body: passwordChange,
    responses: { 204: { description: 'The new password counts.' } },
    run: (call, { body }) => changePassword(call, body),
  }),
  endpoint({
    ...own,
    name: 'me-sessions-list',
    method: 'GET',
    path: 'v1/me/sessions',
    summary: 'List the own sessions, of all tenants',
    query: sessionsQuery,
    responses: SESSIONS,
    run: (call, { query, url }) => listOwnSessions(call, query, url),
  }),
  endpoint({
    ...own,
    name: 'me-sessions-end-others',
    method: 'DELETE',
    path: 'v1/me/sessions',
    summary: 'End all other own sessions',
    responses: ENDED,
    run: (call) => endOtherSessions(call),
  }),
  endpoint({
    ...own,
    name: 'me-sessions-end',
    method: 'DELETE',
    path: 'v1/me/sessions/{session_id}',
    summary: 'End one of the own sessions',
    params: sessionIdParams,
    responses: ENDED,
    run: (call, { params }) => endOwnSession(call, params.session_id),
  }),
  endpoint({
    ...members,
    permission: 'users:read',
    name: 'user-sessions-list',
    method: 'GET',
    path: 'v1/users/{user_id}/sessions',
    summary: 'List a member’s sessions in the tenant',
    params: userIdParams,
    query: sessionsQuery,
    responses: SESSIONS,
    run: (call, { params, query, url }) => listMemberSessions(call, params.user_id, query, url),
  }),
  endpoint({
    ...members,
    name: 'user-sessions-end-all',
    method: 'DELETE',
    path: 'v1/users/{user_id}/sessions',
    summary: 'End a member’s sessions in the tenant',
    params: userIdParams,
    responses: ENDED,
    run: (call, { params }) => endMemberSessions(call, params.user_id),
  }),
  endpoint({
    ...members,
    name: 'user-sessions-end',
    method: 'DELETE',
    path: 'v1/users/{user_id}/sessions/{session_id}',
    summary: 'End one of a member’s sessions in the tenant',
    params: userSessionParams,
    responses: ENDED,
    run: (call, { params }) => endMemberSessions(call, params.user_id, params.session_id),
  }),
];
