import type { Settings } from '../config/settings.ts';
import { entraCredential } from './credential.ts';

/** The scope of Azure Database for PostgreSQL. */
const SCOPE = 'https://ossrdbms-aad.database.windows.net/.default';

/**
 * A token for PostgreSQL, used as the password of a new connection. The connection stays open after the token expires.
 */
export async function databaseToken(clientId?: string): Promise<string> {
  const token = await (await entraCredential(clientId)).getToken(SCOPE);
  if (token === null) throw new Error('no token for the database');
  return token.token;
}

/** What gives the password of each new connection; undefined when the URL has it. */
export type PasswordSource = (() => Promise<string>) | undefined;

/** The password of `comply_app`, by the app's identity. */
export function appPassword(settings: Settings): PasswordSource {
  return settings.DATABASE_AUTH === 'entra' ? () => databaseToken() : undefined;
}

/** The password of `comply_jobs`, by its own identity: a connection of a request cannot become the cross-tenant role. */
export function crossTenantPassword(settings: Settings): PasswordSource {
  const clientId = settings.DATABASE_CROSS_TENANT_CLIENT_ID;
  return settings.DATABASE_AUTH === 'entra' ? () => databaseToken(clientId) : undefined;
}
