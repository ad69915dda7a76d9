import { isBeingErased } from '../../shared/domains/erasure/ledger.ts';
import { answerInvitation } from '../../shared/domains/identity/people/answer-invitation.ts';
import type { InvitationServices } from '../../shared/domains/identity/people/prove-account.ts';
import {
  acceptance,
  accepted,
  invitation,
  invitationParams,
  invitationsQuery,
  newInvitation,
} from '../../shared/domains/identity/people/invitation-schemas.ts';
import {
  inviteUser,
  listInvitations,
  readInvitation,
  resendInvitation,
  revokeInvitation,
} from '../../shared/domains/identity/people/invitations.ts';
import { endpoint, publicEndpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

const common = { tag: 'invitations', openToSuspended: true } as const;
const reads = { ...common, permission: 'users:read' } as const;
const writes = { ...common, permission: 'users:manage' } as const;

export const invitationsEndpoints = (services: () => InvitationServices) => [
  endpoint({
    ...writes,
    name: 'invitations-create',
    method: 'POST',
    path: 'v1/invitations',
    summary: 'Invite an e-mail address to the tenant, with roles',
    description: 'Valid for 7 days, once. It takes the place of what still invites the address.',
    body: newInvitation,
    responses: { 201: { description: 'Invited.', schema: invitation, headers: ['Location'] } },
    run: (call, { body }) => inviteUser(call, body),
  }),
  endpoint({
    ...reads,
    name: 'invitations-list',
    method: 'GET',
    path: 'v1/invitations',
    summary: 'List the tenant’s invitations',
    query: invitationsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(invitation), headers: ['Link'] } },
    run: (call, { query, url }) => listInvitations(call, query, url),
  }),
  endpoint({
    ...reads,
    name: 'invitations-read',
    method: 'GET',
    path: 'v1/invitations/{invitation_id}',
    summary: 'Read an invitation',
    params: invitationParams,
    responses: { 200: { description: 'The invitation.', schema: invitation } },
    run: (call, { params }) => readInvitation(call, params.invitation_id),
  }),
  endpoint({
    ...writes,
    name: 'invitations-revoke',
    method: 'DELETE',
    path: 'v1/invitations/{invitation_id}',
    summary: 'Revoke an invitation',
    params: invitationParams,
    responses: { 204: { description: 'Revoked.' } },
    run: (call, { params }) => revokeInvitation(call, params.invitation_id),
  }),
  endpoint({
    ...writes,
    name: 'invitations-resend',
    method: 'POST',
    path: 'v1/invitations/{invitation_id}/resend',
    summary: 'Send an invitation again, for 7 more days',
    description: 'The mail before is worth nothing from then on. The caller answers for the roles.',
    params: invitationParams,
    responses: { 200: { description: 'Sent.', schema: invitation } },
    run: (call, { params }) => resendInvitation(call, params.invitation_id),
  }),
  publicEndpoint({
    name: 'invitations-accept',
    method: 'POST',
    path: 'v1/invitations/accept',
    tag: 'invitations',
    summary: 'Accept an invitation',
    description:
      'The token says that the address is the person’s. A new person sets a password and says their name. Who has an account sends its password, or the credential of their session. Nobody is signed in by it.',
    body: acceptance,
    problems: ['UNAUTHORIZED', 'INSUFFICIENT_RBAC', 'NOT_FOUND', 'CONFLICT', 'RATE_LIMITED'],
    responses: { 200: { description: 'The person is a member.', schema: accepted } },
    run: (input) => answerInvitation(services(), { ...input, isBeingErased }),
  }),
];
