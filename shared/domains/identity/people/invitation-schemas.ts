import { z } from 'zod';
import { pageQuery } from '../../../platform/http/pagination.ts';
import { uuid } from '../../../platform/ids/uuid.ts';
import { roleName } from '../roles/role-schemas.ts';
import { emailAddress } from '../sign-in/email-address.ts';
import { password } from '../sign-in/password-rules.ts';

/** `{invitation_id}` in a path. */
export const invitationParams = z.object({ invitation_id: uuid });

/** More roles than this are better one role of the tenant's own. */
const ROLES_MAX = 10;

/** `POST /invitations`. */
export const newInvitation = z.strictObject({
  email: emailAddress,
  roles: z
    .array(roleName)
    .min(1)
    .max(ROLES_MAX)
    .overwrite((names) => [...new Set(names)].sort())
    .describe('What the person gets, without an end. Not more than the caller holds for good.'),
});
export type NewInvitation = z.output<typeof newInvitation>;

const STATUSES = ['pending', 'expired', 'accepted', 'revoked'] as const;

/** An invitation as clients see it, never with its token. */
export const invitation = z.object({
  invitation_id: z.string(),
  email: z.string(),
  roles: z.array(z.string()),
  status: z.enum(STATUSES),
  invited_by: z.string().nullable(),
  created_at: z.string(),
  expires_at: z.string(),
  accepted_at: z.string().nullable(),
  accepted_by: z.string().nullable(),
  revoked_at: z.string().nullable(),
  revoked_by: z.string().nullable(),
});
export type Invitation = z.output<typeof invitation>;

/** `GET /invitations`. */
export const invitationsQuery = z.object({
  ...pageQuery,
  email: emailAddress.optional(),
  status: z.enum(STATUSES).optional(),
});

const personName = z.string().trim().min(1).max(100);

/** `POST /invitations/accept`. */
export const acceptance = z.strictObject({
  token: z.string().min(1).max(200),
  password: password
    .optional()
    .describe('A new person’s new password; the present one of a person who is known and has not signed in.'),
  first_name: personName.optional().describe('Needed of a new person.'),
  last_name: personName.optional().describe('Needed of a new person.'),
});
export type Acceptance = z.output<typeof acceptance>;

/** Who is now a member of what. */
export const accepted = z.object({
  user_id: z.string(),
  tenant_id: z.string(),
  roles: z.array(z.string()),
  is_new_person: z.boolean(),
});
export type Accepted = z.output<typeof accepted>;
