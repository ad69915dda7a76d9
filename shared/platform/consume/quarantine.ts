import { createHash } from 'node:crypto';
import type { CrossTenantDatabase } from '../db/tenant-database.ts';
import { newId } from '../ids/ids.ts';
import { log } from '../log/log.ts';
import type { ReceivedMessage } from './received-message.ts';
import type { Refusal } from './read-event.ts';

/** A message that can never be processed as it is. */
export interface QuarantinedMessage {
  readonly message: ReceivedMessage;
  readonly refusal: Refusal;
}

/**
 * Puts messages aside: why, and the bytes that came. A message that is delivered again is not put aside twice. Resolves
 * once they are durable; from then on they count as done.
 * @throws when the database is away.
 */
export async function quarantineMessages(
  database: CrossTenantDatabase,
  queue: string,
  refused: readonly QuarantinedMessage[],
  now: Date,
): Promise<void> {
  if (refused.length === 0) return;
  const rows = refused.map(({ message, refusal }) => ({
    id: newId(now),
    identity: identityOf(queue, message).toString('base64'),
    tenant_id: refusal.tenantId,
    reason: refusal.reason,
    detail: refusal.detail,
    message_id: message.messageId?.replaceAll('\0', '') ?? null,
    body: message.body.toString('base64'),
    properties: storable({ content_type: message.contentType, application_properties: message.properties }),
  }));
  await database.query(
    `insert into ops.quarantine (id, queue, identity, tenant_id, reason, detail, message_id, body, properties, created_at)
     select id, $1, decode(identity, 'base64'), tenant_id, reason, detail, message_id, decode(body, 'base64'), properties, $3
       from json_to_recordset($2::text::json) as q (id uuid, identity text, tenant_id text, reason text, detail jsonb,
            message_id text, body text, properties jsonb)
      order by identity
     on conflict (queue, identity) do nothing`,
    [queue, JSON.stringify(rows), now],
  );
  log.warn('messages-quarantined', {
    queue,
    messages: refused.length,
    reasons: [...new Set(refused.map(({ refusal }) => refusal.reason))].sort().join(','),
  });
}

/** The same for each delivery of a message, another for the same body sent anew. */
function identityOf(queue: string, message: ReceivedMessage): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([queue, message.messageId]))
    .update('\0')
    .update(message.body)
    .digest();
}

/** Properties without what jsonb cannot hold: NULs and half surrogate pairs, which JSON writes as escapes. */
function storable(properties: unknown): unknown {
  const text = JSON.stringify(properties).replace(
    /\\(\\|u0000|ud[89a-f][0-9a-f]{2})/g,
    (escape: string, what: string) => (what === '\\' ? escape : ''),
  );
  return JSON.parse(text) as unknown;
}
