import type { TokenCredential } from '@azure/identity';

const credentials = new Map<string | undefined, Promise<TokenCredential>>();

/**
 * The process's identity in Entra, loaded on first use: a managed identity in Azure, on a laptop who is signed in there. A
 * Function App can have several managed identities: `clientId` says which. Without one it is that of `AZURE_CLIENT_ID`.
 */
export function entraCredential(clientId?: string): Promise<TokenCredential> {
  let credential = credentials.get(clientId);
  if (credential === undefined) {
    credential = import('@azure/identity').then(
      ({ DefaultAzureCredential }) =>
        new DefaultAzureCredential(clientId === undefined ? {} : { managedIdentityClientId: clientId }),
    );
    credentials.set(clientId, credential);
  }
  return credential;
}
