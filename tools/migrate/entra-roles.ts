import pg from 'pg';
import { withConnection, withDatabase } from './connect.ts';
import { MAINTENANCE_DATABASE } from './server-version.ts';

/** The roles that an identity of Entra can be, with the object id of the identity. */
export type EntraRoles = Readonly<Record<'comply_app' | 'comply_jobs', string>>;

/** Azure's provider of security labels. A role's label says which identity may sign in as it. */
const PROVIDER = 'pgaadauth';
/** PostgreSQL's code for a provider that is not loaded. */
const INVALID_PARAMETER = '22023';

/** The server knows no identities of Entra: it is not Azure's, or Entra sign-in is off. */
export class NoEntraError extends Error {
  override name = 'NoEntraError';
}

const labelOf = (objectId: string): string => `aadauth,oid=${objectId.toLowerCase()},type=service`;

/** The statement that makes a role an identity's. */
export function labelStatement(role: string, objectId: string): string {
  const label = pg.escapeLiteral(labelOf(objectId));
  return `security label for ${PROVIDER} on role ${pg.escapeIdentifier(role)} is ${label}`;
}

/**
 * Lets each identity sign in as its role, on the server of this connection string. Not by `pgaadauth_create_principal`: it makes
 * a new role, with an identity's name and rights of its own, which would have to become a member of ours. The label makes our
 * role itself the identity's, so a session has exactly the role's rights and no other to change to. Returns the roles that were
 * changed; can be repeated.
 * @throws NoEntraError when the server has no Entra sign-in.
 */
export async function mapEntraRoles(
  url: string,
  roles: EntraRoles,
  extraCa: readonly string[] = [],
): Promise<string[]> {
  const server = withDatabase(url, MAINTENANCE_DATABASE);
  return withConnection(server, (client) => mapOn(client, roles), extraCa);
}

async function mapOn(client: pg.Client, roles: EntraRoles): Promise<string[]> {
  const { rows } = await client.query<{ role: string; label: string | null }>(
    `select r.rolname as role, l.label from pg_roles r
       left join pg_shseclabel l on l.objoid = r.oid and l.classoid = 'pg_authid'::regclass and l.provider = $1
       where r.rolname = any ($2)`,
    [PROVIDER, Object.keys(roles)],
  );
  const changed: string[] = [];
  for (const [role, objectId] of Object.entries(roles)) {
    if (rows.find((row) => row.role === role)?.label?.toLowerCase() === labelOf(objectId)) continue;
    try {
      await client.query(labelStatement(role, objectId));
    } catch (error) {
      if (error instanceof pg.DatabaseError && error.code === INVALID_PARAMETER) {
        throw new NoEntraError(`${role}: the server has no sign-in with Entra (${error.message})`, {
          cause: error,
        });
      }
      throw error;
    }
    changed.push(role);
  }
  return changed;
}
