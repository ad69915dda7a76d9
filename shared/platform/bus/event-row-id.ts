import { hash } from 'node:crypto';
import { v7 } from 'uuid';

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
  const digest = hash('sha256', JSON.stringify([event.tenantId, event.source, event.id]), 'buffer');
  return v7({ msecs: event.at.getTime(), random: digest.subarray(0, 16), seq: digest.readUInt32BE(16) });
}
