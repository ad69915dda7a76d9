import { z } from 'zod';
import { freeForm } from '../http/fields.ts';

/** A name that other rows and requests refer to. Safe in a URL, a cache key and a blob path. */
export const slug = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/, 'must be 1 to 200 of A-Z, a-z, 0-9, “.”, “_” and “-”');

/** An id that clients choose. It is in lower case, so that it has one spelling. A list's cursor has room for this length. */
export const textId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, 'must be 1 to 100 of a-z, 0-9, “.”, “_” and “-”');

/** A name that the client chooses. */
export const nameText = z.string().min(1).max(200);

/** An optional text. */
export const optionalText = (max: number) => z.string().min(1).max(max).nullable().default(null);

/** Whether the row is in use. */
export const isActive = z.boolean().default(true);

/** The query parameter of a boolean field. */
export const flag = z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'] });

/** How severe a label or a requirement is. */
export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;

/** An object for PostgreSQL's jsonb. The default is empty. */
export const settingsObject = freeForm.default({});
