import type { Condition } from '../../../platform/db/keyset.ts';

/** What a person's row says of whether they may sign in. */
export interface Standing {
  readonly is_active: boolean;
  readonly locked_until: string | null;
}

/** Whether a person may sign in at an instant. */
export function personStatus({ is_active: active, locked_until: until }: Standing, now: Date) {
  if (!active) return 'inactive';
  return until !== null && Date.parse(until) > now.getTime() ? 'locked' : 'active';
}

/** Conditions on a list of people with the columns of a {@link Standing}. */
export function statusConditions(
  status: 'active' | 'locked' | 'inactive' | undefined,
  now: Date,
): readonly Condition[] {
  switch (status) {
    case undefined:
      return [];
    case 'inactive':
      return [{ sql: 'is_active = ?', value: false }];
    case 'locked':
      return [
        { sql: 'is_active = ?', value: true },
        { sql: 'locked_until > ?', value: now },
      ];
    case 'active':
      return [
        { sql: 'is_active = ?', value: true },
        { sql: `coalesce(locked_until, '-infinity') <= ?`, value: now },
      ];
    default:
      return status satisfies never;
  }
}
