/** A setting whose value is in a Key Vault. */
export interface VaultReference {
  readonly vault: string;
  readonly secret: string;
}

/**
 * Reads `@Microsoft.KeyVault(SecretUri=https://vault.vault.azure.net/secrets/name/version)` or
 * `@Microsoft.KeyVault(VaultName=vault;SecretName=name)`; undefined for a plain value.
 */
export function findVaultReference(value: string): VaultReference | undefined {
  const inner = /^@Microsoft\.KeyVault\((.*)\)$/i.exec(value.trim())?.[1];
  if (inner === undefined) return undefined;
  const parts = new Map(
    inner.split(';').map((part): [string, string] => {
      const end = Math.max(0, part.indexOf('='));
      return [part.slice(0, end).trim().toLowerCase(), part.slice(end + 1).trim()];
    }),
  );
  const uri = parts.get('secreturi') ?? '';
  const [, vault = parts.get('vaultname') ?? '?', secret = parts.get('secretname') ?? '?'] =
    /^https:\/\/([^./]+)\.[^/]+\/secrets\/([^/]+)/i.exec(uri) ?? [];
  return { vault, secret };
}
