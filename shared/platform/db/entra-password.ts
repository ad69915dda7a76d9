import type { TokenCredential } from '@azure/identity';

/** The scope of Azure Database for PostgreSQL. */
const SCOPE = 'https://ossrdbms-aad.database.windows.net/.default';
let credential: Promise<TokenCredential> | undefined;

/**
 * A managed identity's token, used as the password of a new connection. The connection stays open after the token expires.
 */
export async function entraPassword(): Promise<string> {
  credential ??= import('@azure/identity').then(({ DefaultAzureCredential }) => new DefaultAzureCredential());
  const token = await (await credential).getToken(SCOPE);
  if (token === null) throw new Error('no token for the database');
  return token.token;
}
