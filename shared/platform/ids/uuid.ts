import { z } from 'zod';

/**
 * A UUID from a client, in lower case: two spellings of an id are one id everywhere, also where ids are compared as text.
 * Every id that enters goes through this schema.
 */
export const uuid = z.uuid().toLowerCase();

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A text that may be an id: a UUID becomes lower case, any other text stays unchanged. */
export function lowerUuid(text: string): string {
  return UUID.test(text) ? text.toLowerCase() : text;
}
