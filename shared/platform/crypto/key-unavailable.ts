import { DependencyUnavailable } from '../db/errors.ts';

/** Why a version of the key-encryption key cannot be read. */
export type KeyFault =
  'unreachable' | 'throttled' | 'no_token' | 'forbidden' | 'disabled' | 'deleted' | 'missing' | 'not_a_key';

/** Where the key is looked for. */
export interface KeyPlace {
  /** The vault's host; null for the setting. */
  readonly vault: string | null;
  readonly secret: string;
  /** Undefined: the newest one. */
  readonly version?: string | undefined;
}

const WORDS: Readonly<Record<KeyFault, string>> = {
  unreachable: 'the vault does not answer',
  throttled: 'the vault answers that it is asked too often',
  no_token: 'the app’s identity gets no token from Entra',
  forbidden: 'the app’s identity may not read it',
  disabled: 'it is disabled',
  deleted: 'it is deleted, and can be recovered',
  missing: 'it does not exist',
  not_a_key: 'it is not 32 bytes of base64',
};

/**
 * A version of the key-encryption key cannot be read. What it wraps is not lost: it opens once the version can be read again. The
 * answer of a request is 503.
 */
export class KeyUnavailable extends DependencyUnavailable {
  override name = 'KeyUnavailable';
  readonly fault: KeyFault;
  readonly version: string | undefined;
  /** What is missing and why, without the vault's name. */
  readonly shortly: string;
  /** For the ledger of runs, which has no messages. */
  readonly code: string;
  constructor(place: KeyPlace, fault: KeyFault, cause?: unknown) {
    const which = place.version === undefined ? 'the newest version' : `version ${place.version}`;
    const secret = `${which} of the secret ${place.secret}`;
    const where = place.vault === null ? '' : ` in the vault ${place.vault}`;
    super('The key-encryption key', cause, `Cannot read ${secret}${where}: ${WORDS[fault]}`);
    this.shortly = `${secret}: ${WORDS[fault]}`;
    this.fault = fault;
    this.version = place.version;
    this.code = `KEY_${fault.toUpperCase()}`;
  }
}
