import { z } from 'zod';
import { pageOf, pageQuery } from '../../platform/http/pagination.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/** A data key as clients see it. Never the key. */
const dataKey = z.object({
  key_id: uuid.describe('As in a record’s `encryption_key_id`.'),
  state: z
    .enum(['current', 'retired', 'destroyed'])
    .describe(
      '`current`: seals what is stored now. `retired`: opens what it sealed. `destroyed`: what it sealed cannot be read again.',
    ),
  created_at: z.string(),
  destroyed_at: z.string().nullable(),
});
export type ShownDataKey = z.output<typeof dataKey>;

/** A page of data keys. */
export const dataKeysPage = pageOf(dataKey);

/** `GET /data-keys`. */
export const dataKeysQuery = z.object(pageQuery);

/** A data key just made. */
export const dataKeyRotated = z.object({
  ...dataKey.shape,
  replaces: uuid.describe('The key that sealed until now. It stays, and opens what it sealed.'),
});
export type DataKeyRotated = z.output<typeof dataKeyRotated>;
