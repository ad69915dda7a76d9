import { askForFileNumber, askForPart } from './ask.ts';

/** The connection string of a storage account that no other test file of this run uses. It has no container. */
export async function openBlobAccount(): Promise<{ connectionString: string; account: string }> {
  const [{ endpoint, accounts }, number] = await Promise.all([askForPart('azurite'), askForFileNumber()]);
  const account = accounts[number];
  if (account === undefined) {
    throw new Error(`there are more than ${accounts.length - 1} test files: raise FILES_AT_MOST`);
  }
  const { name, key } = account;
  return {
    account: name,
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${key};BlobEndpoint=${endpoint}/${name};`,
  };
}
