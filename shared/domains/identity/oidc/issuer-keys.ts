import { performance } from 'node:perf_hooks';
import type { CompactJWSHeaderParameters, CryptoKey, FlattenedJWSInput } from 'jose';
import { z } from 'zod';
import type { IdentityProvider } from '../../../platform/auth/identity-provider.ts';
import { log } from '../../../platform/log/log.ts';
import {
  getJson,
  ReadingFailed,
  sourceRules,
  type SourceRules,
} from '../../../platform/outbound/get-json.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { loadJose } from './load-jose.ts';

/** Keys are read again at this age, so a key that the issuer has withdrawn is refused after it. */
const FRESH_MS = 10 * MINUTE_MS;
/** After a failure, known keys count on, and the next attempt waits. */
const RETRY_MS = 10_000;
/** Keys that could not be read again for this long are no longer believed. */
const BELIEVED_MS = 24 * 60 * MINUTE_MS;
/** An unknown `kid` is looked up at most this often: made-up ones must not make a flood of requests to the issuer. */
const UNKNOWN_KID_EVERY_MS = 30_000;
const TIMEOUT_MS = 5_000;
const DOCUMENT_MAX_BYTES = 128 * 1024;
/** More than an issuer has. The oldest is forgotten first. */
const ISSUERS_MAX = 1_000;

const discovery = z.looseObject({ issuer: z.string(), jwks_uri: z.string() });
const keySet = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });

type FindKey = (header: CompactJWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>;

/** Reads a document. Tests have their own. */
export type ReadDocument = (url: string) => Promise<unknown>;

/** The keys of an issuer are not known, and cannot be read now. */
export class KeysUnavailable extends Error {
  override name = 'KeysUnavailable';
}

/** The keys of one issuer. */
export class IssuerKeys {
  readonly #source: Pick<IdentityProvider, 'issuer' | 'jwks_uri'>;
  readonly #read: ReadDocument;
  readonly #monotonic: () => number;
  #known: { readonly find: FindKey; readonly text: string } | undefined;
  #loading: Promise<void> | undefined;
  #loadedAt = -Infinity;
  #failedAt = -Infinity;
  #lookedUpAt = -Infinity;
  #version = 0;

  constructor(
    source: Pick<IdentityProvider, 'issuer' | 'jwks_uri'>,
    read: ReadDocument,
    monotonic: () => number = () => performance.now(),
  ) {
    this.#source = source;
    this.#read = read;
    this.#monotonic = monotonic;
  }

  /** Another number after the keys have changed. Old keys are read again meanwhile. */
  get version(): number {
    if (this.#isOld) void this.#reload();
    return this.#version;
  }

  /**
   * The key that signed a token, by its `kid` and algorithm. Keys in the token itself are never used.
   * @throws KeysUnavailable; what jose throws when no key fits.
   */
  async find(header: CompactJWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    if (this.#isOld) await this.#reload();
    const { errors } = await loadJose();
    try {
      return await this.#believed()(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayLookUp()) throw error;
    }
    await this.#reload();
    return this.#believed()(header, token);
  }

  #believed(): FindKey {
    if (this.#known === undefined || this.#monotonic() - this.#loadedAt >= BELIEVED_MS)
      throw new KeysUnavailable(this.#source.issuer);
    return this.#known.find;
  }

  get #isOld(): boolean {
    return this.#monotonic() - this.#loadedAt >= FRESH_MS;
  }

  #mayLookUp(): boolean {
    const now = this.#monotonic();
    if (now - this.#lookedUpAt < UNKNOWN_KID_EVERY_MS) return false;
    this.#lookedUpAt = now;
    return true;
  }

  /** Reads the keys once for all callers. After a failure it waits before it tries again. Never throws. */
  #reload(): Promise<void> {
    if (this.#loading !== undefined) return this.#loading;
    if (this.#monotonic() - this.#failedAt < RETRY_MS) return Promise.resolve();
    this.#loading = this.#load()
      .catch((error: unknown) => {
        this.#failedAt = this.#monotonic();
        log.warn('issuer-keys-not-read', {
          issuer: this.#source.issuer,
          failure: error instanceof ReadingFailed ? error.failure : 'not_valid',
        });
      })
      .finally(() => {
        this.#loading = undefined;
      });
    return this.#loading;
  }

  async #load(): Promise<void> {
    // From before the look-up: a key may be withdrawn while the answer is on its way.
    const at = this.#monotonic();
    const read = keySet.parse(await this.#read(this.#source.jwks_uri ?? (await this.#discover())));
    const text = JSON.stringify(read.keys);
    if (text !== this.#known?.text) {
      const { createLocalJWKSet } = await loadJose();
      this.#known = { find: createLocalJWKSet(read), text };
      this.#version += 1;
    }
    this.#loadedAt = at;
  }

  /** The address of the keys, from the issuer's own document (OpenID Connect Discovery 1.0). */
  async #discover(): Promise<string> {
    const { issuer } = this.#source;
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const document = discovery.parse(await this.#read(url));
    // Otherwise one issuer could name the keys of another.
    if (document.issuer !== issuer) throw new Error('the document is of another issuer');
    return document.jwks_uri;
  }
}

/** The keys of all issuers that this process has met. Tenants with the same issuer share them. */
export class KnownIssuers {
  readonly #rules: SourceRules;
  readonly #issuers = new Map<string, IssuerKeys>();

  constructor(settings: Parameters<typeof sourceRules>[0]) {
    this.#rules = sourceRules(settings);
  }

  /** The keys of a provider. Where it names the keys itself, they are not those of the issuer's document. */
  of(source: Pick<IdentityProvider, 'issuer' | 'jwks_uri'>): IssuerKeys {
    const id = `${source.issuer} ${source.jwks_uri ?? ''}`;
    const known = this.#issuers.get(id);
    if (known !== undefined) return known;
    const [oldest] = this.#issuers.keys();
    if (this.#issuers.size >= ISSUERS_MAX && oldest !== undefined) this.#issuers.delete(oldest);
    const made = new IssuerKeys(source, (url) =>
      getJson({ url, rules: this.#rules, timeoutMs: TIMEOUT_MS, maxBytes: DOCUMENT_MAX_BYTES }),
    );
    this.#issuers.set(id, made);
    return made;
  }
}
