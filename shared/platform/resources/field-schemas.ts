import { z } from 'zod';
import { freeForm } from '../http/fields.ts';

/** A name that other things refer to: what a URL, a cache key and a blob path can hold as it is. */
export const slug = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/, 'must be 1 to 200 of A-Z, a-z, 0-9, “.”, “_” and “-”');

/** An id that clients choose: lower case, so that an id has one spelling. Its length is what a list's cursor holds. */
export const textId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, 'must be 1 to 100 of a-z, 0-9, “.”, “_” and “-”');

/** A name in the client's own words. */
export const nameText = z.string().min(1).max(200);

/** A text that may be left out. */
export const optionalText = (max: number) => z.string().min(1).max(max).nullable().default(null);

/** Whether the row counts. */
export const isActive = z.boolean().default(true);

/** The query parameter of a boolean field. */
export const flag = z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'] });

/** How bad what a label or a requirement stands for is. */
export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;

/** Anything that PostgreSQL's jsonb takes as an object; empty where it is left out. */
export const settingsObject = freeForm.default({});
