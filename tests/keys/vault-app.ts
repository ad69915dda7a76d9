import { randomBytes } from 'node:crypto';
import { afterAll, vi } from 'vitest';
import { startVault, type VaultStandIn } from '../../dev/vault/start-vault.ts';
import { startTestApp, type TestApp, type TestAppOptions } from '../harness/app.ts';
import { makeAuthority } from '../harness/certificates.ts';
import '../harness/remote-names.ts';

export const VAULT_HOST = 'keys.vault.remote.test';
export const SECRET = 'key-encryption-key';

/** A key as its secret has it. */
export const newKeyText = (): string => randomBytes(32).toString('base64');

/** The app with its key-encryption key in a vault, and a managed identity that may read it. */
export async function startVaultApp(
  options: TestAppOptions = {},
): Promise<{ readonly app: TestApp; readonly vault: VaultStandIn; readonly first: string }> {
  const authority = makeAuthority('the vault’s authority');
  const { certificate, key } = authority.certify({ name: 'vault', hosts: [VAULT_HOST] });
  // An hour ago: instances have long noticed a version that is made now.
  const now = (): Date => new Date(Date.now() - 3_600_000);
  const vault = await startVault({ certificate, key, host: VAULT_HOST, loginHost: 'login.remote.test', now });
  const first = String(vault.secrets.set(SECRET, newKeyText())?.version);
  for (const [name, value] of Object.entries(vault.identity)) vi.stubEnv(name, value);
  afterAll(async () => {
    vi.unstubAllEnvs();
    await vault.close();
  });
  const app = await startTestApp({
    ...options,
    settings: {
      ...options.settings,
      KEY_ENCRYPTION_KEYS: '',
      KEY_VAULT_URL: vault.url,
      EXTRA_CA_CERTS: authority.certificate,
    },
  });
  return { app, vault, first };
}
