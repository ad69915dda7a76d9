import { countWrappedKeys } from '../../../shared/platform/crypto/wrapped-keys.ts';
import {
  openKeyEncryptionKeys,
  type KeyEncryptionKeys,
} from '../../../shared/platform/crypto/key-encryption-keys.ts';
import { count, ok, orOk, problem, type Check, type Finding } from '../check.ts';
import { describeError } from '../describe-error.ts';
import type { Patient } from '../patient.ts';

function openKeys(patient: Patient): KeyEncryptionKeys {
  patient.needOne('KEY_VAULT_URL', 'KEY_ENCRYPTION_KEYS');
  return openKeyEncryptionKeys(patient.services.settings);
}

const vaultOf = (patient: Patient): string | undefined => {
  const url = patient.setting('KEY_VAULT_URL');
  return url === undefined ? undefined : new URL(url).hostname.split('.')[0];
};

/** Whether new data keys can be wrapped. */
export const currentKey: Check = {
  name: 'key-encryption-key',
  group: 'keys',
  looksAt: 'whether the current version of the key-encryption key can be read',
  async run(patient) {
    const keys = openKeys(patient);
    const vault = vaultOf(patient);
    const secret = patient.setting('KEY_ENCRYPTION_SECRET_NAME') ?? '';
    try {
      const { version } = await keys.current();
      return ok(`${vault === undefined ? 'KEY_ENCRYPTION_KEYS' : `${vault}/${secret}`}: version ${version}`);
    } catch (error) {
      return problem(
        `${vault ?? ''}/${secret} cannot be read: ${describeError(error)}`,
        `az role assignment create --role "Key Vault Secrets User" --assignee <identity> --scope $(az keyvault show --name ${vault ?? '<vault>'} --query id -o tsv); if the secret is missing: az keyvault secret set --vault-name ${vault ?? '<vault>'} --name ${secret} --value "$(openssl rand -base64 32)"`,
      );
    }
  },
};

/** Whether every tenant's sources can be opened. */
export const wrappingVersions: Check = {
  name: 'key-versions',
  group: 'keys',
  looksAt: 'whether each version that wraps a data key can still be read',
  async run(patient) {
    const keys = openKeys(patient);
    const used = await countWrappedKeys(await patient.crossTenant('core'));
    const findings = await Promise.all(
      used.map(async ({ version, data_keys }): Promise<Finding[]> => {
        try {
          await keys.version(version);
          return [];
        } catch (error) {
          const vault = vaultOf(patient);
          const secret = patient.setting('KEY_ENCRYPTION_SECRET_NAME') ?? '';
          return [
            problem(
              `version ${version} cannot be read (${describeError(error)}): the sources of ${count(data_keys, 'data key')} cannot be opened`,
              vault === undefined
                ? `put version ${version} back into KEY_ENCRYPTION_KEYS`
                : `az keyvault secret set-attributes --vault-name ${vault} --name ${secret} --version ${version} --enabled true; a deleted secret: az keyvault secret recover --vault-name ${vault} --name ${secret}`,
            ),
          ];
        }
      }),
    );
    return orOk(
      findings.flat(),
      used.length === 0
        ? 'there is no data key yet'
        : used
            .map(({ version, data_keys }) => `version ${version} opens ${count(data_keys, 'data key')}`)
            .join(', '),
    );
  },
};
