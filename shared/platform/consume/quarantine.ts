import { createHash } from 'node:crypto';
import { inBatch } from '../db/batch-transaction.ts';
import { recordset } from '../db/recordset.ts';
import type { CrossTenantDatabase } from '../db/tenant-database.ts';
import { newId } from '../ids/ids.ts';
import { log } from '../log/log.ts';
import { ONE_EVENT } from '../bus/pack-events.ts';
import { elementsOf } from './message-events.ts';
import type { ReceivedMessage } from './received-message.ts';
import type { Refusal } from './refusal.ts';

/** A message, or one of its events, that can never be processed. */
export interface QuarantinedMessage {
  readonly message: ReceivedMessage;
  /** The event's index in a message of several; null or absent for the whole message. */
  readonly place?: number | null;
  readonly refusal: Refusal;
}

/** Rows of one statement. A body has 256 KB at most, and the driver holds a statement in memory several times. */
const ROWS_AT_ONCE = 100;

const ROWS = recordset({
  id: 'uuid',
  identity: 'bytea',
  tenant_id: 'text',
  reason: 'text',
  detail: 'jsonb',
  message_id: 'text',
  body: 'bytea',
  properties: 'jsonb',
});

const INSERT = `
insert into ops.quarantine (id, queue, identity, tenant_id, reason, detail, message_id, body, properties, created_at)
select id, $1, identity, tenant_id, reason, detail, message_id, body, properties, $2 from ${ROWS.from('q', 3)}
 order by identity
on conflict (queue, identity) do nothing`;

/**
 * Moves messages or single events to quarantine, with the reason and the original bytes. A message that is delivered again
 * gets no second row. Resolves when the rows are committed; then they count as done.
 * @throws when the database is unavailable.
 */
export async function quarantineMessages(
  database: CrossTenantDatabase,
  queue: string,
  refused: readonly QuarantinedMessage[],
  now: Date,
): Promise<void> {
  if (refused.length === 0) return;
  const bytesOf = bodyReader();
  for (let from = 0; from < refused.length; from += ROWS_AT_ONCE) {
    const rows = refused.slice(from, from + ROWS_AT_ONCE).map(({ message, place = null, refusal }) => ({
      id: newId(now),
      identity: identityOf(queue, message, place),
      tenant_id: refusal.tenantId,
      reason: refusal.reason,
      detail: refusal.detail,
      message_id: message.messageId?.replaceAll('\0', '') ?? null,
      body: bytesOf(message, place),
      properties: storable({
        content_type: place === null ? message.contentType : ONE_EVENT,
        application_properties: message.properties,
      }),
    }));
    await database.query(INSERT, [queue, now, ...ROWS.parameters(rows)]);
  }
  log.warn('messages-quarantined', {
    queue,
    messages: refused.length,
    reasons: [...new Set(refused.map(({ refusal }) => refusal.reason))].sort().join(','),
  });
}

/** The newest messages that {@link openInQuarantine} looks at. */
const LOOKED_AT = 1_000;

/** Open messages by queue, among the newest ones. */
export async function openInQuarantine(database: CrossTenantDatabase): Promise<ReadonlyMap<string, number>> {
  const rows = await inBatch(database, (transaction) =>
    transaction.query<{ queue: string; open: number }>(
      `select queue, count(*) as open
       from (select queue, status from ops.quarantine order by created_at desc, id desc limit ${LOOKED_AT}) q
      where status = 'open' group by queue`,
    ),
  );
  return new Map(rows.map(({ queue, open }) => [queue, open]));
}

/** Returns the bytes of messages and of single events. Splits a batch only once for all of its events. */
function bodyReader(): (message: ReceivedMessage, place: number | null) => Buffer {
  const taken = new Map<ReceivedMessage, readonly Buffer[]>();
  return (message, place) => {
    if (place === null) return message.body;
    let elements = taken.get(message);
    if (elements === undefined) {
      elements = elementsOf(message.body);
      taken.set(message, elements);
    }
    return elements[place] ?? message.body;
  };
}

/**
 * The same for each delivery of a message, but different when the same body is sent again. An event of a batch is identified
 * by its message and its index there, because it may occur in a batch twice.
 */
function identityOf(queue: string, message: ReceivedMessage, place: number | null): Buffer {
  const name = place === null ? [queue, message.messageId] : [queue, message.messageId, place];
  return createHash('sha256').update(JSON.stringify(name)).update('\0').update(message.body).digest();
}

/** Properties without what jsonb cannot store: NULs and lone surrogates, which JSON writes as escapes. */
function storable(properties: unknown): unknown {
  const text = JSON.stringify(properties).replace(
    /\\(\\|u0000|ud[89a-f][0-9a-f]{2})/g,
    (escape: string, what: string) => (what === '\\' ? escape : ''),
  );
  return JSON.parse(text) as unknown;
}
