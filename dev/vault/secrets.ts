import { randomBytes } from 'node:crypto';

/** A version of a secret, as the vault keeps it. */
export interface StoredVersion {
  readonly version: string;
  readonly value: string;
  readonly contentType: string | undefined;
  enabled: boolean;
  readonly created: number;
  updated: number;
  notBefore: number | undefined;
  expires: number | undefined;
}

interface StoredSecret {
  readonly versions: StoredVersion[];
  /** In seconds; undefined: it is not deleted. */
  deleted: number | undefined;
}

/** The attributes of a version, as the protocol has them. */
export interface Attributes {
  readonly enabled?: boolean;
  readonly nbf?: number;
  readonly exp?: number;
}

/** The secrets of a vault, with their versions. Times are seconds, as in the protocol. */
export class Secrets {
  readonly #secrets = new Map<string, StoredSecret>();
  readonly #now: () => Date;

  constructor(now: () => Date) {
    this.#now = now;
  }

  get seconds(): number {
    return Math.floor(this.#now().getTime() / 1000);
  }

  /** Adds a version; undefined if the secret is deleted and not recovered. */
  set(
    name: string,
    value: string,
    attributes: Attributes = {},
    contentType?: string,
  ): StoredVersion | undefined {
    const secret = this.#secrets.get(name) ?? { versions: [], deleted: undefined };
    if (secret.deleted !== undefined) return undefined;
    const added: StoredVersion = {
      version: randomBytes(16).toString('hex'),
      value,
      contentType,
      enabled: attributes.enabled ?? true,
      created: this.seconds,
      updated: this.seconds,
      notBefore: attributes.nbf,
      expires: attributes.exp,
    };
    secret.versions.push(added);
    this.#secrets.set(name, secret);
    return added;
  }

  /** The versions of a secret that is not deleted, oldest first. */
  versions(name: string): readonly StoredVersion[] {
    const secret = this.#secrets.get(name);
    return secret?.deleted === undefined ? (secret?.versions ?? []) : [];
  }

  /** A version; the newest one without its name, which may be disabled. */
  find(name: string, version?: string): StoredVersion | undefined {
    const versions = this.versions(name);
    return version === undefined ? versions.at(-1) : versions.find((one) => one.version === version);
  }

  /** Changes a version's attributes. */
  change(name: string, version: string, attributes: Attributes): StoredVersion | undefined {
    const found = this.find(name, version);
    if (found === undefined) return undefined;
    found.enabled = attributes.enabled ?? found.enabled;
    found.notBefore = attributes.nbf ?? found.notBefore;
    found.expires = attributes.exp ?? found.expires;
    found.updated = this.seconds;
    return found;
  }

  /** Deletes a secret; it can be recovered. */
  remove(name: string): StoredVersion | undefined {
    const newest = this.find(name);
    const secret = this.#secrets.get(name);
    if (newest !== undefined && secret !== undefined) secret.deleted = this.seconds;
    return newest;
  }

  /** A deleted secret's newest version, and when it was deleted. */
  findRemoved(name: string): { readonly version: StoredVersion; readonly deleted: number } | undefined {
    const secret = this.#secrets.get(name);
    const version = secret?.versions.at(-1);
    if (version === undefined || secret?.deleted === undefined) return undefined;
    return { version, deleted: secret.deleted };
  }

  /** Brings a deleted secret back with all versions. */
  recover(name: string): StoredVersion | undefined {
    const secret = this.#secrets.get(name);
    if (secret?.deleted === undefined) return undefined;
    secret.deleted = undefined;
    return secret.versions.at(-1);
  }
}
