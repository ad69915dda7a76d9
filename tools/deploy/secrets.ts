import { randomBytes } from 'node:crypto';
import type { Deployment } from './environment.ts';
import type { Vault } from './vault.ts';

/** The app's settings KEY_ENCRYPTION_SECRET_NAME and API_KEY_PEPPER name these, see bicep/main.bicep. */
const KEY_ENCRYPTION_SECRET = 'key-encryption-key';
export const PEPPER_SECRET = 'api-key-pepper';

const KEY_BYTES = 32;

/**
 * Makes the secrets that can be generated, once. An existing one stays: another pepper would make all API keys invalid. Returns
 * the names of those that were made.
 */
export async function makeSecrets(vault: Vault): Promise<string[]> {
  const made: string[] = [];
  for (const name of [KEY_ENCRYPTION_SECRET, PEPPER_SECRET]) {
    const isNew = await vault.setSecretOnce(name, () => randomBytes(KEY_BYTES).toString('base64'));
    if (isNew) made.push(name);
  }
  return made;
}

/** The name of the gateway's certificate in its vault. */
export const CERTIFICATE = 'gateway';

/**
 * The name of the gateway's certificate, made if it may be.
 * @throws Error that says what a person has to do when there is none.
 */
export async function provideCertificate(vault: Vault, deployment: Deployment): Promise<string> {
  const name = deployment.GATEWAY_CERTIFICATE ?? CERTIFICATE;
  if ((await vault.readCertificate(name)) !== undefined) return name;
  const selfSigned = deployment.GATEWAY_SELF_SIGNED ?? deployment.DEPLOYMENT_ENVIRONMENT === 'dev';
  if (!selfSigned) {
    throw new Error(
      `The gateway needs a certificate for ${deployment.API_HOST}. Import one, then run azd up again:\n` +
        `  az keyvault certificate import --vault-name ${deployment.GATEWAY_VAULT} --name ${name} --file <certificate>.pfx\n` +
        'Or, for an environment that only its makers call: azd env set GATEWAY_SELF_SIGNED true',
    );
  }
  await vault.makeSelfSigned(name, deployment.API_HOST);
  return name;
}
