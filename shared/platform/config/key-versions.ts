import { z } from 'zod';

/** Versions of the key-encryption key, and the current one, which wraps new data keys. */
export interface KeyVersions {
  readonly current: string;
  /** 32 bytes each. */
  readonly versions: ReadonlyMap<string, Uint8Array>;
}

const FORM =
  'must be {"current": "<version>", "versions": {"<version>": "<32 bytes, base64>", …}} with a current that is one ' +
  'of the versions; {"<version>": "<32 bytes, base64>"} with one version says the same';

/** 32 bytes: an AES-256 key. */
const key = z.base64().refine((text) => Buffer.from(text, 'base64').length === 32, { error: FORM });
const versions = z.record(z.string().min(1), key);

const explicit = z
  .strictObject({ current: z.string(), versions })
  .refine((given) => Object.hasOwn(given.versions, given.current), { error: FORM });

/**
 * The setting's first format, `{"1": "<key>"}`. It has only one version: with several, it could not say which is current,
 * because an object does not keep the order of names such as "10" and "9".
 */
const single = versions
  .refine((given) => Object.keys(given).length === 1, { error: FORM })
  .transform((given) => ({ current: Object.keys(given).join(), versions: given }));

/** `KEY_ENCRYPTION_KEYS`: `{"current": "2", "versions": {"1": …, "2": …}}`; with a single version also `{"1": …}`. */
export const keyVersions: z.ZodType<KeyVersions, string> = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'is not JSON' });
      return z.NEVER;
    }
  })
  .pipe(
    z.union([explicit, single], { error: FORM }).transform(({ current, versions: given }) => ({
      current,
      versions: new Map(Object.entries(given).map(([name, text]) => [name, Buffer.from(text, 'base64')])),
    })),
  );
