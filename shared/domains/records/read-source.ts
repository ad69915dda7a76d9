import { createHash } from 'node:crypto';
import { DataKeyDestroyed } from '../../platform/crypto/data-keys.ts';
import { binding, open, SealBroken } from '../../platform/crypto/sealing.ts';
import { auditEvent, emitEvents } from '../../platform/writes/caused-events.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { log } from '../../platform/log/log.ts';
import { findRecordRow, noRecord } from './read-record.ts';
import type { RecordSource } from './schemas.ts';

interface SealedSource {
  readonly [column: string]: unknown;
  readonly source_data: Buffer;
  readonly source_table: string;
  readonly source_id: string;
  readonly encryption_key_id: string;
}

/**
 * A record's source in clear text. The audit entry is written before the answer: without it there is no source. A failed read
 * has an audit entry too.
 * @throws Problem 404 for an unknown record, or one whose key is destroyed; SealBroken if the sealed bytes were changed.
 */
export async function readSource(call: Call, id: string): Promise<Reply<200, RecordSource>> {
  const row = await findRecordRow<SealedSource>(
    call,
    id,
    'source_data, source_table, source_id, encryption_key_id',
  );
  if (row === undefined) throw noRecord();
  const source = await openSource(call, id, row).catch(async (error: unknown) => {
    await auditRead(call, id, row, error);
    throw error;
  });
  await auditRead(call, id, row, undefined);
  return ok({
    id,
    source_table: row.source_table,
    source_id: row.source_id,
    source_data: source.toString('utf8'),
    sha256: createHash('sha256').update(source).digest('hex'),
    encryption_key_id: row.encryption_key_id,
  });
}

async function openSource(call: Call, id: string, row: SealedSource): Promise<Buffer> {
  try {
    const { key } = await call.services.dataKeys.find(call.tenant.tenantId, row.encryption_key_id);
    return open(key, row.source_data, binding(call.tenant.tenantId, row.source_id));
  } catch (error) {
    if (error instanceof DataKeyDestroyed) {
      throw new Problem('NOT_FOUND', { detail: 'The source was erased with its key.', cause: error });
    }
    if (error instanceof SealBroken) {
      log.error('seal-broken', { tenant_id: call.tenant.tenantId, record_id: id, source_id: row.source_id });
    }
    throw error;
  }
}

/** Why a source could not be opened, for the audit trail. */
function failureOf(error: unknown): string {
  if (error instanceof SealBroken) return 'seal_broken';
  return error instanceof Problem ? 'key_destroyed' : 'unavailable';
}

async function auditRead(call: Call, id: string, row: SealedSource, error: unknown): Promise<void> {
  const failed = error !== undefined;
  await emitEvents(call, [
    auditEvent(call, {
      action: 'record.source_read',
      resource_type: 'record',
      resource_id: id,
      outcome: failed ? 'failure' : 'success',
      details: {
        source_table: row.source_table,
        source_id: row.source_id,
        encryption_key_id: row.encryption_key_id,
        ...(failed ? { failure: failureOf(error) } : {}),
      },
    }),
  ]);
}
