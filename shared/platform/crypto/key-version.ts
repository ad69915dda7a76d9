/** One version of the key-encryption key. */
export interface KeyVersion {
  readonly version: string;
  readonly key: Uint8Array;
}

/** What is told of a version. Never its key. */
export interface ListedVersion {
  readonly version: string;
  readonly enabled: boolean;
  /** Null: not known. */
  readonly createdAt: Date | null;
  readonly expiresAt: Date | null;
}
