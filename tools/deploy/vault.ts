import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { AzureError, parseJson, type Tokens } from './azure-resources.ts';

const SCOPE = 'https://vault.azure.net/.default';
const API_VERSION = '7.4';
const POLL_MS = 2_000;
/** A new role or firewall rule is known everywhere after some minutes. Until then a vault refuses with 403. */
const REFUSED_FOR_MS = 10 * 60_000;

const secret = z.object({ value: z.string() });
const certificate = z.object({ cer: z.string() });
const pending = z.object({ status: z.string(), error: z.object({ message: z.string() }).nullish() });

/** One Key Vault's secrets and certificates. */
export class Vault {
  readonly #url: string;
  readonly #tokens: Tokens;
  readonly #pollMs: number;

  constructor(url: string, tokens: Tokens, pollMs = POLL_MS) {
    this.#url = url.replace(/\/+$/, '');
    this.#tokens = tokens;
    this.#pollMs = pollMs;
  }

  /** Undefined when there is none. @throws AzureError */
  async #send(method: string, path: string, body?: unknown): Promise<unknown> {
    const end = Date.now() + REFUSED_FOR_MS;
    for (;;) {
      const answer = await fetch(`${this.#url}/${path}?api-version=${API_VERSION}`, {
        method,
        headers: { authorization: `Bearer ${await this.#tokens(SCOPE)}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (answer.ok) return parseJson(text);
      if (answer.status === 404 && method === 'GET') return undefined;
      if (answer.status !== 403 || Date.now() > end) {
        throw new AzureError(`${method} ${path}`, answer.status, text);
      }
      await delay(this.#pollMs);
    }
  }

  /** A secret's current value; undefined when there is none. */
  async readSecret(name: string): Promise<string | undefined> {
    const found = await this.#send('GET', `secrets/${name}`);
    return found === undefined ? undefined : secret.parse(found).value;
  }

  /** Sets a secret unless it exists. Returns whether it was set. */
  async setSecretOnce(name: string, value: () => string): Promise<boolean> {
    if ((await this.readSecret(name)) !== undefined) return false;
    await this.#send('PUT', `secrets/${name}`, { value: value() });
    return true;
  }

  /** A certificate, without its key, as PEM; undefined when there is none. */
  async readCertificate(name: string): Promise<string | undefined> {
    const found = await this.#send('GET', `certificates/${name}`);
    if (found === undefined) return undefined;
    const lines = certificate.parse(found).cer.match(/.{1,64}/g) ?? [];
    return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
  }

  /** Makes a certificate that no authority signed. Its key is made in the vault; it renews itself. */
  async makeSelfSigned(name: string, host: string): Promise<void> {
    await this.#send('POST', `certificates/${name}/create`, {
      policy: {
        key_props: { exportable: true, kty: 'RSA', key_size: 3072, reuse_key: false },
        secret_props: { contentType: 'application/x-pkcs12' },
        x509_props: {
          subject: `CN=${host}`,
          sans: { dns_names: [host] },
          ekus: ['1.3.6.1.5.5.7.3.1'], // a server's
          key_usage: ['digitalSignature', 'keyEncipherment'],
          validity_months: 12,
        },
        lifetime_actions: [{ trigger: { days_before_expiry: 30 }, action: { action_type: 'AutoRenew' } }],
        issuer: { name: 'Self' },
      },
    });
    for (;;) {
      const state = pending.parse(await this.#send('GET', `certificates/${name}/pending`));
      if (state.status === 'completed') return;
      if (state.status !== 'inProgress') {
        throw new Error(`the certificate was not made: ${state.error?.message ?? state.status}`);
      }
      await delay(this.#pollMs);
    }
  }
}
