import type Stripe from 'stripe';
import { isDecimal, isKind } from '../kinds.ts';
import type { Kind, ObjectOf, StripeObject } from '../kinds.ts';

/** What has a shape by version: what the stand-in keeps, and what stands inside it. */
export type Shaped = StripeObject | Stripe.InvoiceLineItem | Stripe.Plan;

/** Where a shape finds what the current one only names. The state of the stand-in is one. */
export interface Look {
  get<K extends Kind>(kind: K, id: string): ObjectOf<K> | undefined;
  /** The newest first. */
  list<K extends Kind>(kind: K, keep: (object: ObjectOf<K>) => boolean): ObjectOf<K>[];
}

/** How an object looked before a version: fields that it had, and fields that it did not have yet. */
export interface Patch {
  readonly set: object;
  readonly drop: readonly string[];
}

/**
 * What a version has changed, read backwards. It is given the object in its current shape, so that the order of the steps does
 * not matter; objects that it sets are in their current shape as well, and are reshaped after it.
 */
export type Step = (object: Shaped, look: Look) => Patch | undefined;

/** A patch whose dropped fields are known to be there. */
export function patch<T extends object>(
  _object: T,
  set: object,
  drop: readonly (keyof T & string)[] = [],
): Patch {
  return { set, drop };
}

function isShaped(value: object): value is Shaped {
  if (!('object' in value) || typeof value.object !== 'string') return false;
  if ('deleted' in value && value.deleted === true) return false;
  return isKind(value.object) || value.object === 'line_item' || value.object === 'plan';
}

function applySteps(value: object, steps: readonly Step[], look: Look): object {
  if (!isShaped(value)) return value;
  const patches = steps.flatMap((step) => step(value, look) ?? []);
  if (patches.length === 0) return value;
  const fields = new Map<string, unknown>(Object.entries(value));
  for (const { set, drop } of patches) {
    for (const name of drop) fields.delete(name);
    for (const [name, field] of Object.entries(set)) fields.set(name, field);
  }
  return Object.fromEntries(fields);
}

/** The same with all objects inside it as they were before the steps. An event is left as it is: it has a version of its own. */
export function reshape(value: unknown, steps: readonly Step[], look: Look): unknown {
  if (Array.isArray(value)) return value.map((item) => reshape(item, steps, look));
  if (typeof value !== 'object' || value === null || isDecimal(value)) return value;
  if ('object' in value && value.object === 'event') return value;
  const fields = Object.entries(applySteps(value, steps, look)).map(([name, field]): [string, unknown] => [
    name,
    name === 'metadata' ? field : reshape(field, steps, look),
  ]);
  return Object.fromEntries(fields);
}
