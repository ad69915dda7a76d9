import {
  beginTotp,
  confirmTotp,
  removeTotp,
  replaceRecoveryCodes,
} from '../../shared/domains/identity/sign-in/totp.ts';
import {
  confirmEmail,
  confirmReset,
  requestToken,
} from '../../shared/domains/identity/sign-in/one-time-tokens.ts';
import { signOut } from '../../shared/domains/identity/sessions/revoke-sessions.ts';
import {
  codeBody,
  mailRequest,
  mailRequested,
  passwordBody,
  recoveryCodes,
  resetBody,
  signedIn,
  signInBody,
  tokenBody,
  totpBegun,
} from '../../shared/domains/identity/sign-in/schemas.ts';
import { sessionCookie, signIn } from '../../shared/domains/identity/sign-in/sign-in.ts';
import type { SignInServices } from '../../shared/domains/identity/sign-in/sign-in-services.ts';
import { platformDataKey } from '../../shared/domains/tenancy/platform-data-key.ts';
import { endpoint, publicEndpoint } from '../../shared/platform/http/endpoint.ts';

/** An address, a password and a code: no more is read before anything is checked. */
const BODY_LIMIT = 8 * 1024;

const open = { tag: 'auth', bodyLimit: BODY_LIMIT } as const;
const own = { tag: 'auth', permission: 'person', openToSuspended: true, bodyLimit: BODY_LIMIT } as const;
const CODES = { description: 'The new codes, shown once.', schema: recoveryCodes };
const ACCEPTED = { description: 'If there is such a person, an e-mail is sent.', schema: mailRequested };

/** Signing in and out, one-time tokens by e-mail, and the second factor. */
export const authEndpoints = (services: () => SignInServices) => [
  publicEndpoint({
    ...open,
    name: 'auth-sessions-create',
    method: 'POST',
    path: 'v1/auth/sessions',
    summary: 'Sign in with e-mail address and password',
    description:
      'The answer to an unknown address and to a wrong password is the same. With the right password, `reason` says what is missing: `totp_required`, `totp_invalid`, `email_not_verified`. A person of several tenants gets 409 with `tenants`, and sends `tenant_id` too.',
    body: signInBody,
    responses: {
      201: { description: 'Signed in.', schema: signedIn, headers: ['Location', 'Set-Cookie'] },
    },
    problems: ['UNAUTHORIZED', 'INSUFFICIENT_RBAC', 'CONFLICT', 'RATE_LIMITED'],
    run: ({ body, origin }) => signIn(services(), body, origin),
  }),
  endpoint({
    ...own,
    name: 'auth-sessions-end',
    method: 'DELETE',
    path: 'v1/auth/sessions/current',
    summary: 'Sign out',
    responses: { 204: { description: 'The session is over.', headers: ['Set-Cookie'] } },
    run: (call) => signOut(call, { 'set-cookie': sessionCookie('', 0) }),
  }),
  publicEndpoint({
    ...open,
    name: 'auth-password-resets-create',
    method: 'POST',
    path: 'v1/auth/password-resets',
    summary: 'Ask for a new password by e-mail',
    body: mailRequest,
    responses: { 202: ACCEPTED },
    problems: ['RATE_LIMITED'],
    run: ({ body, origin }) => requestToken(services(), 'password_reset', body.email, origin),
  }),
  publicEndpoint({
    ...open,
    name: 'auth-password-resets-confirm',
    method: 'POST',
    path: 'v1/auth/password-resets/confirm',
    summary: 'Set a new password with the token from the e-mail',
    description: 'Ends all sessions and a lock. The second factor stays. A token counts once, for an hour.',
    body: resetBody,
    responses: { 204: { description: 'The new password counts.' } },
    problems: ['RATE_LIMITED'],
    run: ({ body, origin }) => confirmReset(services(), body, origin),
  }),
  publicEndpoint({
    ...open,
    name: 'auth-email-verifications-create',
    method: 'POST',
    path: 'v1/auth/email-verifications',
    summary: 'Ask for an e-mail that confirms the address',
    body: mailRequest,
    responses: { 202: ACCEPTED },
    problems: ['RATE_LIMITED'],
    run: ({ body, origin }) => requestToken(services(), 'email_verification', body.email, origin),
  }),
  publicEndpoint({
    ...open,
    name: 'auth-email-verifications-confirm',
    method: 'POST',
    path: 'v1/auth/email-verifications/confirm',
    summary: 'Confirm the address with the token from the e-mail',
    description: 'A token counts once, for 24 hours.',
    body: tokenBody,
    responses: { 204: { description: 'The address is confirmed.' } },
    problems: ['RATE_LIMITED'],
    run: ({ body, origin }) => confirmEmail(services(), body.token, origin),
  }),
  endpoint({
    ...own,
    name: 'auth-totp-begin',
    method: 'POST',
    path: 'v1/auth/totp',
    summary: 'Begin a second factor; its secret is shown once',
    body: passwordBody,
    hasSecretBody: true,
    responses: { 200: { description: 'To be confirmed with a code.', schema: totpBegun } },
    run: (call, { body }) => beginTotp(call, body.password, () => platformDataKey(call.services)),
  }),
  endpoint({
    ...own,
    name: 'auth-totp-confirm',
    method: 'POST',
    path: 'v1/auth/totp/confirm',
    summary: 'Confirm the second factor with a code; it counts from now on',
    body: codeBody,
    responses: { 200: CODES },
    run: (call, { body }) => confirmTotp(call, body.code),
  }),
  endpoint({
    ...own,
    name: 'auth-recovery-codes-replace',
    method: 'POST',
    path: 'v1/auth/totp/recovery-codes',
    summary: 'Make new recovery codes; the old ones end',
    body: passwordBody,
    hasSecretBody: true,
    responses: { 200: CODES },
    run: (call, { body }) => replaceRecoveryCodes(call, body.password),
  }),
  endpoint({
    ...own,
    name: 'auth-totp-remove',
    method: 'DELETE',
    path: 'v1/auth/totp',
    summary: 'Remove the second factor',
    body: passwordBody,
    responses: { 204: { description: 'Removed.' } },
    run: (call, { body }) => removeTotp(call, body.password),
  }),
];
