import { hash } from 'node:crypto';
import { v7 } from 'uuid';

/**
 * The id of the row that an event becomes: a UUIDv7 of the event's own time, its other bits a hash of what the event is.
 * So a row has the same id however often the event is delivered.
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
