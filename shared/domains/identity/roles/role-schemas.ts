import { z } from 'zod';
import { PERMISSIONS, type Permission } from '../../../platform/auth/permissions.ts';
import { pageQuery } from '../../../platform/http/pagination.ts';

/** A role's name, as the database checks it. */
export const roleName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and “_”, a letter first');

/** `{role_name}` in a path. */
export const roleParams = z.object({ role_name: roleName });

/** What a tenant's own role can have. The platform's permission is only in the platform's role. */
const GRANTABLE = PERMISSIONS.filter(
  (permission): permission is Exclude<Permission, 'platform:operate'> => permission !== 'platform:operate',
);

const permissions = z
  .array(z.enum(GRANTABLE))
  .min(1)
  .max(PERMISSIONS.length)
  .transform((names) => [...new Set(names)].sort())
  .describe('Not more than the caller holds.');

const description = z.string().max(500);

/** `PUT /roles/{role_name}`. */
export const changedRole = z.strictObject({ description: description.default(''), permissions });
export type ChangedRole = z.output<typeof changedRole>;

/** `POST /roles`. */
export const newRole = z.strictObject({ role_name: roleName, ...changedRole.shape });
export type NewRole = z.output<typeof newRole>;

/** A role as clients see it. */
export const role = z.object({
  role_name: z.string(),
  description: z.string(),
  permissions: z.array(z.string()),
  is_system_role: z
    .boolean()
    .describe('True for the roles that every tenant has. Only a release changes them.'),
  created_at: z.string(),
  updated_at: z.string(),
  etag: z.string().describe('The version, for If-Match.'),
});
export type Role = z.output<typeof role>;

/** `GET /roles`. */
export const rolesQuery = z.object({
  ...pageQuery,
  is_system_role: z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'] }).optional(),
});
