import { ARCHIVE_REQUESTED, newEvent } from '../../../platform/bus/events.ts';
import type { CallServices } from '../../../platform/call/call.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { addToOutbox, newEntry } from '../../../platform/writes/outbox.ts';
import { notErasedSql } from '../../tenancy/tenant-standing.ts';

/** After this time, the archive request of an unarchived record is lost, or is among the dead letters. */
const FORGOTTEN_MS = 10 * MINUTE_MS;
/** Records in one statement. */
const BATCH_SIZE = 500;
/** The most requests of one run: the queue processes them in an hour. The next run requests the rest. */
const REQUESTS_MAX = 50_000;

interface Forgotten {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly id: string;
  readonly created_at: string;
}

/**
 * Requests the archives of records that have waited too long, since an unarchived record is never deleted. A second request
 * for the same record changes nothing. Returns the number of requests.
 */
export async function requestForgottenArchives(
  services: Pick<CallServices, 'crossTenant' | 'publisher'>,
  now: Date,
  timeLeftMs: () => number,
): Promise<number> {
  const before = new Date(now.getTime() - FORGOTTEN_MS);
  let asked = 0;
  let after = { created_at: '-infinity', id: '00000000-0000-0000-0000-000000000000' };
  while (asked < REQUESTS_MAX && timeLeftMs() > 0) {
    const forgotten = await inBatch(services.crossTenant.core, (transaction) =>
      transaction.query<Forgotten>(
        `select r.tenant_id, r.id, r.created_at from storage_records r
          where r.archived_at is null and r.created_at < $1 and (r.created_at, r.id) > ($2::timestamptz, $3::uuid)
            and ${notErasedSql('r.tenant_id')}
          order by r.created_at, r.id limit $4`,
        [before, after.created_at, after.id, BATCH_SIZE],
        { prepare: false },
      ),
    );
    const last = forgotten.at(-1);
    if (last === undefined) break;
    await request(services, forgotten, now);
    asked += forgotten.length;
    after = { created_at: last.created_at, id: last.id };
  }
  return asked;
}

async function request(
  services: Pick<CallServices, 'crossTenant' | 'publisher'>,
  forgotten: readonly Forgotten[],
  now: Date,
): Promise<void> {
  const entries = forgotten.map((record) => {
    const data = { tenant_id: record.tenant_id, record_id: record.id };
    return newEntry('core', record.tenant_id, [newEvent(ARCHIVE_REQUESTED, data, now)], now);
  });
  await addToOutbox(services.crossTenant.core, entries);
  for (const entry of entries) services.publisher.publish(entry);
}
