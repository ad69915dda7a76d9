import { z } from 'zod';
import { invalidRequest } from './stripe-error.ts';

// Stripe's limits.
const MAX_KEYS = 50;
const MAX_KEY_LENGTH = 40;
const MAX_VALUE_LENGTH = 500;

type Metadata = Readonly<Record<string, string>>;

/** The change that a `metadata` parameter asks for: null unsets all of it, an empty value unsets its key. */
export type MetadataChange = Metadata | null;

/** The `metadata` parameter. */
export function metadata(): z.ZodType<MetadataChange> {
  return z.unknown().transform((value) => {
    if (value === '' || value === null) return null;
    if (typeof value !== 'object')
      throw invalidRequest('Metadata must be a hash of keys and values', { param: 'metadata' });
    const change = new Map<string, string>();
    // A list here is a hash whose keys are numbers.
    for (const [key, item] of Object.entries(value)) {
      const text: unknown = item === null ? '' : typeof item === 'number' ? String(item) : item;
      const param = `metadata[${key}]`;
      if (typeof text !== 'string') throw invalidRequest('Metadata values must be strings', { param });
      if (key.length > MAX_KEY_LENGTH)
        throw invalidRequest(`Metadata keys can have up to ${MAX_KEY_LENGTH} characters`, { param });
      if (text.length > MAX_VALUE_LENGTH)
        throw invalidRequest(`Metadata values can have up to ${MAX_VALUE_LENGTH} characters`, { param });
      change.set(key, text);
    }
    return Object.fromEntries(change);
  });
}

/** What metadata is after a change; without one, what it was. */
export function applyMetadata(current: Metadata, change: MetadataChange | undefined): Record<string, string> {
  if (change === undefined) return { ...current };
  if (change === null) return {};
  const kept = Object.entries({ ...current, ...change }).filter(([, value]) => value !== '');
  if (kept.length > MAX_KEYS)
    throw invalidRequest(`Metadata can have up to ${MAX_KEYS} keys`, { param: 'metadata' });
  return Object.fromEntries(kept);
}
