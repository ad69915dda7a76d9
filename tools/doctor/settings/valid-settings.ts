import { settingsSchema } from '../../../shared/platform/config/settings.ts';
import { count, notChecked, orOk, problem, type Check, type Finding } from '../check.ts';

/** Every setting, as the app reads it at its start. */
export const validSettings: Check = {
  name: 'settings',
  group: 'settings',
  looksAt: 'every setting, by the schema with which the app reads them',
  run({ given, isLocal }) {
    const set = (name: string): string =>
      isLocal
        ? `correct ${name}, see docs/operations.md#settings`
        : `az functionapp config appsettings set --settings ${name}=<value>, see docs/operations.md#settings`;
    const findings = given.faults
      .filter(({ setting }) => !given.references.has(setting))
      .filter(({ fault }) => !isOnlyReferenced(fault, given.references))
      .map(({ setting, fault }): Finding => {
        const isUnset = !(setting in given.raw) && !fault.startsWith('set exactly one');
        return problem(`${setting} ${isUnset ? 'is not set' : fault}`, set(setting));
      });
    const known = Object.keys(settingsSchema.shape).filter((name) => name in given.raw).length;
    return Promise.resolve(orOk(findings, `${count(known, 'setting is', 'settings are')} valid`));
  },
};

/** Whether `set exactly one of A, B` is met by one that is a reference. */
function isOnlyReferenced(fault: string, references: ReadonlyMap<string, unknown>): boolean {
  if (!fault.startsWith('set exactly one of ')) return false;
  return fault
    .slice('set exactly one of '.length)
    .split(', ')
    .some((name) => references.has(name));
}

/** Settings that only the Function App can resolve. */
export const vaultReferences: Check = {
  name: 'key-vault-references',
  group: 'settings',
  looksAt: 'settings whose value is in a Key Vault',
  run({ given }) {
    const findings = [...given.references].map(([name, { vault, secret }]) =>
      notChecked(
        `${name} is a Key Vault reference: only the Function App resolves it`,
        `to check it too: export ${name}="$(az keyvault secret show --vault-name ${vault} --name ${secret} --query value -o tsv)"`,
      ),
    );
    return Promise.resolve(orOk(findings, 'no setting is a reference'));
  },
};
