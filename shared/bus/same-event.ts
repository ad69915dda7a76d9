import type { ReceivedEvent } from './read-event.ts';

/**
 * A producer that sends an event again may stamp it anew; within this span it is known for the same all the same. (An
 * interval of PostgreSQL. The ledgers are partitioned by time: no unique key of theirs can do without it.)
 */
export const SAME_EVENT_SPAN = '1 day';

/** Each event once, by tenant, source and id. One may stand in a batch twice, even with two times; the first one counts. */
export function firstOfEach<T>(events: readonly ReceivedEvent<T>[]): ReceivedEvent<T>[] {
  const seen = new Set<string>();
  return events.filter(({ tenant, source, id }) => {
    const identity = JSON.stringify([tenant.tenantId, source, id]);
    return seen.size < seen.add(identity).size;
  });
}
