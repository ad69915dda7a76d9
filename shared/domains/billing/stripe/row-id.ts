import { derivedId } from '../../../platform/ids/derived-id.ts';

/** The id of the row of a Stripe object that was created at a time. Whoever writes the row first gives it the same id. */
export function stripeRowId(objectId: string, created: Date): string {
  return derivedId(created, ['stripe', objectId]);
}
