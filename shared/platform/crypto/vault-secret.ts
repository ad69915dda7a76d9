import type { TokenCredential } from '@azure/identity';
import type { SecretClient } from '@azure/keyvault-secrets';
import { rootCertificates } from 'node:tls';
import { entraCredential } from '../entra/credential.ts';
import { KeyUnavailable, type KeyFault } from './key-unavailable.ts';
import type { KeyVersion, ListedVersion } from './key-version.ts';

/** The secret with the key-encryption key, and how to reach it. */
export interface VaultSecretPlace {
  readonly vaultUrl: string;
  readonly secretName: string;
  /** Authorities that the vault's certificate may have, besides those that Node knows. */
  readonly extraCa?: readonly string[];
  /** Default: the process's identity. */
  readonly credential?: () => Promise<TokenCredential>;
}

/** With the SDK's own repetitions. A vault that hangs must not hang a request for minutes. */
const ANSWER_LIMIT_MS = 15_000;

/** A Key Vault's secret whose versions are the key-encryption key's. The client is opened at the first read. */
export class VaultSecret {
  readonly #place: VaultSecretPlace;
  #client: Promise<SecretClient> | undefined;

  constructor(place: VaultSecretPlace) {
    this.#place = place;
  }

  /** The host of the vault. */
  get vault(): string {
    return new URL(this.#place.vaultUrl).host;
  }

  /** The name of the secret. */
  get secret(): string {
    return this.#place.secretName;
  }

  /** Reads a version, or the newest one. @throws KeyUnavailable */
  async read(version?: string): Promise<KeyVersion> {
    const { secretName } = this.#place;
    const secret = await this.#ask(version, (client, abortSignal) =>
      client.getSecret(secretName, { abortSignal, ...(version === undefined ? {} : { version }) }),
    );
    const key = Buffer.from(secret.value ?? '', 'base64');
    const found = secret.properties.version;
    if (key.length !== 32 || found === undefined) throw this.#unavailable(found ?? version, 'not_a_key');
    return { version: found, key };
  }

  /** The versions that the vault has, disabled ones too, and without their values. @throws KeyUnavailable */
  list(): Promise<ListedVersion[]> {
    return this.#ask(undefined, async (client, abortSignal) => {
      const listed: ListedVersion[] = [];
      for await (const one of client.listPropertiesOfSecretVersions(this.#place.secretName, {
        abortSignal,
      })) {
        if (one.version !== undefined)
          listed.push({
            version: one.version,
            enabled: one.enabled ?? true,
            createdAt: one.createdOn ?? null,
            expiresAt: one.expiresOn ?? null,
          });
      }
      // The vault answers 200 and no version for a secret that it does not have.
      if (listed.length === 0) await client.getSecret(this.#place.secretName, { abortSignal });
      return listed;
    });
  }

  async #ask<T>(
    version: string | undefined,
    ask: (client: SecretClient, abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const client = await (this.#client ??= this.#open());
    try {
      return await ask(client, AbortSignal.timeout(ANSWER_LIMIT_MS));
    } catch (error) {
      const fault = faultOfAnswer(error);
      const isDeleted = fault === 'missing' && version === undefined && (await this.#isDeleted(client));
      throw this.#unavailable(version, isDeleted ? 'deleted' : fault, error);
    }
  }

  async #open(): Promise<SecretClient> {
    const { vaultUrl, extraCa = [], credential = () => entraCredential() } = this.#place;
    const [{ SecretClient: Client }, identity] = await Promise.all([
      import('@azure/keyvault-secrets'),
      credential(),
    ]);
    const tls =
      extraCa.length === 0 ? {} : { tlsOptions: { ca: [...rootCertificates, ...extraCa].join('\n') } };
    return new Client(vaultUrl, identity, tls);
  }

  /** Whether the secret can be recovered. An identity that may not know gets "it does not exist". */
  async #isDeleted(client: SecretClient): Promise<boolean> {
    const options = { abortSignal: AbortSignal.timeout(ANSWER_LIMIT_MS) };
    return client.getDeletedSecret(this.#place.secretName, options).then(
      () => true,
      () => false,
    );
  }

  #unavailable(version: string | undefined, fault: KeyFault, cause?: unknown): KeyUnavailable {
    return new KeyUnavailable({ vault: this.vault, secret: this.secret, version }, fault, cause);
  }
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** What an error of the SDK says, by its status and the vault's codes. */
function faultOfAnswer(error: unknown): KeyFault {
  const name = property(error, 'name');
  if (name === 'AuthenticationError' || name === 'AggregateAuthenticationError') return 'no_token';
  if (name === 'CredentialUnavailableError' || name === 'AuthenticationRequiredError') return 'no_token';
  switch (property(error, 'statusCode')) {
    case 401:
      return 'no_token';
    case 403:
      return isDisabled(error) ? 'disabled' : 'forbidden';
    case 404:
      return 'missing';
    case 429:
      return 'throttled';
    default:
      return 'unreachable';
  }
}

/** The vault's inner code of a version that is disabled, or outside its times. */
function isDisabled(error: unknown): boolean {
  const inner = property(property(property(error, 'details'), 'error'), 'innerError');
  return ['SecretDisabled', 'SecretNotYetValid'].includes(String(property(inner, 'code')));
}
