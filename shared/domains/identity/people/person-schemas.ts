import { z } from 'zod';
import { instant } from '../../../platform/http/fields.ts';
import { pageQuery } from '../../../platform/http/pagination.ts';
import { uuid } from '../../../platform/ids/uuid.ts';
import { roleName } from '../roles/role-schemas.ts';
import { emailAddress } from '../sign-in/email-address.ts';

/** `{user_id}` in a path. */
export const userParams = z.object({ user_id: uuid });

/** `{user_id}` and `{role_name}` in a path. */
export const userRoleParams = z.object({ user_id: uuid, role_name: roleName });

const STATUSES = ['active', 'locked', 'inactive'] as const;
const status = z
  .enum(STATUSES)
  .describe(
    '`locked`: after failed sign-ins, for a while. `inactive`: an operator has deactivated the person.',
  );

/** A role that a person has now. */
const presentRole = z.object({
  role_name: z.string(),
  source: z
    .enum(['assigned', 'token'])
    .describe('`token`: the last token of the person’s own organisation said it.'),
  expires_at: z.string().nullable(),
});

/** A member of a tenant. */
export const member = z.object({
  user_id: z.string(),
  email: z.string().nullable().describe('Null for people whom only a token of their organisation names.'),
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  status,
  is_verified: z.boolean().describe('Whether the person has shown that the address is theirs.'),
  has_second_factor: z.boolean(),
  last_login_at: z.string().nullable(),
  roles: z.array(presentRole),
  created_at: z.string().describe('Since when the person is a member.'),
});
export type Member = z.output<typeof member>;

/** `GET /users`. */
export const membersQuery = z.object({
  ...pageQuery,
  email: emailAddress.optional(),
  role: roleName.optional(),
  status: status.optional(),
});

/** `POST /users/{user_id}/roles`. */
export const newAssignment = z.strictObject({
  role_name: roleName,
  expires_at: instant.nullable().default(null).describe('When the role ends, to the second. Null: never.'),
});
export type NewAssignment = z.output<typeof newAssignment>;

/** A person's role in a tenant, also one that has ended. */
export const assignment = z.object({
  user_id: z.string(),
  ...presentRole.shape,
  status: z.enum(['active', 'expired', 'ended']),
  assigned_by: z.string().nullable(),
  assigned_at: z.string(),
  ended_by: z.string().nullable(),
  ended_at: z.string().nullable(),
});
export type Assignment = z.output<typeof assignment>;

/** `GET /users/{user_id}/roles`. */
export const assignments = z.object({ items: z.array(assignment) });

/** A person, for operators. */
export const platformUser = z.object({
  user_id: z.string(),
  email: z.string().nullable(),
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  status,
  is_verified: z.boolean(),
  locked_until: z.string().nullable(),
  last_login_at: z.string().nullable(),
  created_at: z.string(),
  updated_at: z.string(),
});
export type PlatformUser = z.output<typeof platformUser>;

/** A person with the tenants where they have a role now. */
export const platformUserDetail = z.object({
  ...platformUser.shape,
  tenants: z.array(z.object({ tenant_id: z.string(), roles: z.array(z.string()) })),
});
export type PlatformUserDetail = z.output<typeof platformUserDetail>;

/** `GET /platform/users`. */
export const platformUsersQuery = z.object({
  ...pageQuery,
  email: emailAddress.optional(),
  status: status.optional(),
});
