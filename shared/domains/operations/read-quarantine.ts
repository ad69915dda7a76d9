import type { z } from 'zod';
import { readPlatformKeyset, when } from '../../platform/db/keyset.ts';
import { auditEvent, emitEvents } from '../../platform/writes/caused-events.ts';
import type { Call } from '../../platform/call/call.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../platform/http/pagination.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import type { QuarantineItem, QuarantineItemWithBody, quarantineQuery } from './quarantine-schemas.ts';

/** A message as it is stored, with a body of bytes. */
type StoredItem = Omit<QuarantineItemWithBody, 'body' | 'body_encoding'> & { readonly body: Buffer };

/** A message's columns without body and properties. */
const COLUMNS = `id, queue, reason, detail, tenant_id, message_id, octet_length(body) as body_bytes, status, attempts,
  created_at, resolved_at, resolved_by, resolution`;

/** A page of the messages in quarantine. */
export async function listQuarantine(
  call: Call,
  query: z.output<typeof quarantineQuery>,
  url: string,
): Promise<Reply<200, Page<QuarantineItem>>> {
  const scope = cursorScope(call, query);
  const page = readPage(scope, query);
  const list = {
    table: 'ops.quarantine',
    columns: COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'id',
    idType: 'uuid',
    conditions: [
      ...when('queue = ?', query.queue),
      ...when('reason = ?', query.reason),
      ...when('status = ?', query.status),
    ],
  } as const;
  return pageReply(scope, url, page, {
    // Across tenants: messages in quarantine belong to no tenant.
    read: (step) => readPlatformKeyset<QuarantineItem>(call.services.crossTenant.core, list, step),
    positionOf: (row) => ({ at: row.created_at, id: row.id }),
  });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * One message with its body. The read is audited, since the body may be a tenant's content.
 * @throws Problem 404.
 */
export async function readQuarantined(call: Call, id: string): Promise<Reply<200, QuarantineItemWithBody>> {
  const [row] = await call.services.crossTenant.core.query<StoredItem>(
    `select ${COLUMNS}, body, properties from ops.quarantine where id = $1`,
    [id],
  );
  if (row === undefined) throw notInQuarantine();
  await emitEvents(call, [
    auditEvent(call, {
      action: 'quarantine.read',
      resource_type: 'quarantined_message',
      resource_id: id,
      details: { queue: row.queue },
    }),
  ]);
  return ok({ ...row, ...bodyText(row.body) });
}

/** The answer for an unknown id. */
export function notInQuarantine(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such message in quarantine.' });
}

function bodyText(body: Buffer): { body: string; body_encoding: 'utf-8' | 'base64' } {
  try {
    return { body: utf8.decode(body), body_encoding: 'utf-8' };
  } catch {
    return { body: body.toString('base64'), body_encoding: 'base64' };
  }
}
