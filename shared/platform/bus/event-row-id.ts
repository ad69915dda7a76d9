import { derivedId } from '../ids/derived-id.ts';

/**
 * The id of an event's row: a UUIDv7 with the event's own time and a hash of its identity. So a row has the same id for each
 * delivery of the event.
 */
export function eventRowId(event: {
  readonly tenantId: string;
  readonly source: string;
  readonly id: string;
  readonly at: Date;
}): string {
  return derivedId(event.at, [event.tenantId, event.source, event.id]);
}
