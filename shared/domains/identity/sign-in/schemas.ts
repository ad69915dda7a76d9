import { z } from 'zod';
import { tenantId } from '../../../platform/http/fields.ts';
import { emailAddress } from './email-address.ts';
import { membership } from './memberships.ts';
import { newPassword, password } from './password-rules.ts';

const totpCode = z.string().regex(/^\d{6}$/, 'must be six digits');
/** As {@link newRecoveryCodes} writes them; people add spaces, and leave the dashes out. */
const recoveryCode = z
  .string()
  .max(40)
  .overwrite((text) => text.toLowerCase().replace(/[\s-]/g, ''))
  .regex(/^[a-z0-9]{16}$/, 'must be one of the recovery codes');
const oneTimeToken = z.string().regex(/^[a-z0-9]{40}$/, 'must be the token from the e-mail');

/** `POST /auth/sessions`. */
export const signInBody = z
  .strictObject({
    email: emailAddress,
    password,
    totp_code: totpCode.optional().describe('For a person with a second factor.'),
    recovery_code: recoveryCode.optional().describe('Instead of `totp_code`. Each counts once.'),
    tenant_id: tenantId.optional().describe('Needed by a person of several tenants.'),
  })
  .refine((body) => body.totp_code === undefined || body.recovery_code === undefined, {
    path: ['recovery_code'],
    message: 'give either totp_code or recovery_code',
  });
export type SignInBody = z.output<typeof signInBody>;

/** A session just opened. */
export const signedIn = z.object({
  token: z.string().describe('For `Authorization: Bearer`. The cookie has the same. It is not stored.'),
  session_id: z.string(),
  tenant_id: z.string(),
  user_id: z.string(),
  methods: z.array(z.string()).describe('How the person signed in: `pwd`, `otp` (RFC 8176).'),
  expires_at: z.string(),
});
export type SignedIn = z.output<typeof signedIn>;

/** `POST /auth/password-resets`, `POST /auth/email-verifications`. */
export const mailRequest = z.strictObject({ email: emailAddress });

/** The answer, whether or not there is such a person. */
export const mailRequested = z.object({ status: z.literal('accepted') });
export type MailRequested = z.output<typeof mailRequested>;

/** `POST /auth/email-verifications/confirm`. */
export const tokenBody = z.strictObject({ token: oneTimeToken });

/** `POST /auth/password-resets/confirm`. */
export const resetBody = z.strictObject({ token: oneTimeToken, new_password: newPassword });
export type ResetBody = z.output<typeof resetBody>;

/** `PUT /me/password`. */
export const passwordChange = z.strictObject({ current_password: password, new_password: newPassword });
export type PasswordChange = z.output<typeof passwordChange>;

/** What changes the second factor needs the password: a session alone could be stolen. */
export const passwordBody = z.strictObject({ password });

/** `POST /auth/totp/confirm`. */
export const codeBody = z.strictObject({ code: totpCode });

/** A new second factor, not yet confirmed. */
export const totpBegun = z.object({
  secret: z.string().nullable().describe('In base32. Shown once: null when an Idempotency-Key is replayed.'),
  otpauth_uri: z.string().nullable().describe('The same for a QR code.'),
});
export type TotpBegun = z.output<typeof totpBegun>;

/** New recovery codes. */
export const recoveryCodes = z.object({
  recovery_codes: z
    .array(z.string())
    .nullable()
    .describe('Each counts once instead of a code. Shown once: null when an Idempotency-Key is replayed.'),
});
export type RecoveryCodes = z.output<typeof recoveryCodes>;

const name = z.string().trim().min(1).max(200);

/** `PUT /me`. */
export const namesBody = z.strictObject({
  first_name: name.nullable(),
  last_name: name.nullable(),
});
export type NamesBody = z.output<typeof namesBody>;

const person = z.object({
  user_id: z.string(),
  email: z.string().nullable(),
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  is_verified: z.boolean(),
  has_password: z.boolean(),
  has_totp: z.boolean(),
  recovery_codes_left: z.number().int(),
});
export type Person = z.output<typeof person>;

/** `GET /me`. */
export const me = z.object({
  kind: z.enum(['key', 'session', 'oidc_person', 'oidc_service']),
  actor: z.string().describe('As in the audit trail: `key:…`, `user:…`, `service:…`.'),
  user: person.nullable().describe('Null for keys and services.'),
  tenant_id: z.string(),
  tenant_name: z.string(),
  session_id: z.string().nullable(),
  roles: z.array(z.string()),
  permissions: z.array(z.string()),
  permissions_until: z
    .string()
    .nullable()
    .describe(
      'When the first of the roles ends that give them; of a key, of its maker’s roles. Null: none of them ends.',
    ),
  expires_at: z.string().nullable().describe('When the credential expires; null if it does not.'),
  tenants: z
    .array(membership)
    .describe('Where the person has a role. Only the present one with another kind than `session`.'),
});
export type Me = z.output<typeof me>;
