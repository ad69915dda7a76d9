import { z } from 'zod';
import { AUDIT_RECORDED, newEvent, type AuditData } from '../../../platform/bus/events.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import {
  json,
  type CrossTenantDatabase,
  type CrossTenantTransaction,
} from '../../../platform/db/tenant-database.ts';
import { addToOutbox, newEntry } from '../../../platform/writes/outbox.ts';
import type { ExportFile } from './manifest.ts';

// All SQL of the exports' job.

/** What is written already. Empty before the first file. */
const position = z.object({
  /** Tells whether the sources are the same as when the export began. */
  sources: z.string().optional(),
  source: z.string().optional(),
  /** The number of the next file of the source. */
  part: z.number().default(1),
  after: z.array(z.string()).optional(),
  unreadable: z.number().default(0),
});
export type Position = z.output<typeof position>;

/** An export that is being made. */
export interface OpenExport {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly export_id: string;
  readonly created_at: string;
  readonly position: unknown;
  readonly failures: number;
  readonly is_erased: boolean;
}

/** Another process has continued this export, or ended it. */
export class ExportTaken extends Error {
  override name = 'ExportTaken';
}

/** The position of an export, for this build. One that it cannot read begins again. */
export const positionOf = (row: Pick<OpenExport, 'position'>): Position =>
  position.safeParse(row.position).data ?? position.parse({});

// Not `exists`: without statistics, the planner would read all tenants for it.
const IS_ERASED = `((select t.status from tenants t where t.tenant_id = e.tenant_id) = 'erased')`;

/** The open export that was worked on least recently, before `before`; undefined if there is none. */
export async function findOpen(core: CrossTenantDatabase, before: Date): Promise<OpenExport | undefined> {
  const [row] = await inBatch(core, (transaction) =>
    transaction.query<OpenExport>(
      `select e.tenant_id, e.export_id, e.created_at, e.position, e.failures, ${IS_ERASED} as is_erased from ops.tenant_exports e
        where e.status in ('waiting', 'running') and e.worked_at <= $1 order by e.worked_at, e.export_id limit 1`,
      [before],
    ),
  );
  return row;
}

/**
 * Stores what was written since `from`, with the file. Only one of several processes that continue from the same position can.
 * @throws ExportTaken for the others, and when the tenant is erased meanwhile.
 */
export function savePart(
  core: CrossTenantDatabase,
  row: OpenExport,
  step: { readonly from: unknown; readonly to: Position; readonly file: ExportFile | undefined },
  now: Date,
): Promise<void> {
  const { file } = step;
  return core.transaction(async (transaction) => {
    const saved = await transaction.query(
      `update ops.tenant_exports set status = 'running', failures = 0, position = $4, worked_at = $5, rows = rows + $6, files = files + $7,
              bytes = bytes + $8
        where tenant_id = $1 and export_id = $2 and status in ('waiting', 'running') and position = $3
          and not exists (select from tenants t where t.tenant_id = $1 and t.status = 'erased') returning 1`,
      [
        row.tenant_id,
        row.export_id,
        json(step.from),
        json(step.to),
        now,
        file?.rows ?? 0,
        file === undefined ? 0 : 1,
        file?.bytes ?? 0,
      ],
    );
    if (saved.length === 0) throw new ExportTaken('another process has continued this export');
    if (file !== undefined)
      await transaction.query(
        `insert into ops.tenant_export_files (tenant_id, export_id, name, source, rows, bytes, sha256, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)`,
        [row.tenant_id, row.export_id, file.name, file.source, file.rows, file.bytes, file.sha256, now],
      );
  });
}

/** The files of an export, in the order in which their rows were read. */
export function findFiles(core: CrossTenantDatabase, row: OpenExport): Promise<ExportFile[]> {
  return core.query<ExportFile>(
    `select name, source, rows, bytes, sha256 from ops.tenant_export_files
      where tenant_id = $1 and export_id = $2 order by name`,
    [row.tenant_id, row.export_id],
  );
}

/** Forgets the files and the position of an export that begins again. */
export function restart(core: CrossTenantDatabase, row: OpenExport): Promise<void> {
  return core.transaction(async (transaction) => {
    await deleteFiles(transaction, row);
    await transaction.query(
      `update ops.tenant_exports set position = '{}', rows = 0, files = 0, bytes = 0
        where tenant_id = $1 and export_id = $2 and status in ('waiting', 'running')`,
      [row.tenant_id, row.export_id],
    );
  });
}

/** Ends an export, with its entry in the tenant's trail, and says until when its files stay. Only one of several processes can. */
export async function endExport(
  core: CrossTenantDatabase,
  row: OpenExport,
  end: { readonly status: 'completed' | 'failed'; readonly error?: string; readonly deleteAfter: Date },
  now: Date,
): Promise<OutboxEntry | undefined> {
  return core.transaction(async (transaction) => {
    const ended = await transaction.query(
      `update ops.tenant_exports set status = $3, error = $4, delete_after = $5, worked_at = $6,
              completed_at = case when $3 = 'completed' then $6::timestamptz end
        where tenant_id = $1 and export_id = $2 and status in ('waiting', 'running') returning 1`,
      [row.tenant_id, row.export_id, end.status, end.error ?? null, end.deleteAfter, now],
    );
    if (ended.length === 0 || row.is_erased) return undefined;
    const entry = newEntry('core', row.tenant_id, [endedEvent(row, end.status, now)], now);
    await addToOutbox(transaction, [entry]);
    return entry;
  });
}

const endedEvent = (row: OpenExport, status: 'completed' | 'failed', now: Date) =>
  newEvent<AuditData>(
    AUDIT_RECORDED,
    {
      tenant_id: row.tenant_id,
      actor: 'job:tenant-exports',
      action: `tenant_export.${status}`,
      resource_type: 'tenant_export',
      resource_id: row.export_id,
      outcome: status === 'completed' ? 'success' : 'failure',
      details: {},
    },
    now,
  );

/** Notes a failed attempt. The export's turn comes again after the others. */
export async function noteFailure(
  core: CrossTenantDatabase,
  row: OpenExport,
  error: string,
  now: Date,
): Promise<void> {
  await core.query(
    `update ops.tenant_exports set failures = failures + 1, error = $3, worked_at = $4
      where tenant_id = $1 and export_id = $2 and status in ('waiting', 'running')`,
    [row.tenant_id, row.export_id, error, now],
  );
}

/** Some exports whose files are to go: their time is over, or their tenant is erased. */
export function findToDelete(
  core: CrossTenantDatabase,
  now: Date,
  limit: number,
): Promise<Pick<OpenExport, 'tenant_id' | 'export_id'>[]> {
  return inBatch(core, (transaction) =>
    transaction.query<OpenExport>(
      `select e.tenant_id, e.export_id from ops.tenant_exports e
        where e.status in ('completed', 'failed')
          and (e.delete_after <= $1 or ${IS_ERASED})
        order by e.delete_after, e.export_id limit $2`,
      [now, limit],
    ),
  );
}

/** Notes that an export's container is deleted. */
export function noteDeleted(
  core: CrossTenantDatabase,
  row: Pick<OpenExport, 'tenant_id' | 'export_id'>,
): Promise<void> {
  return core.transaction(async (transaction) => {
    await deleteFiles(transaction, row);
    await transaction.query(
      `update ops.tenant_exports set status = 'deleted' where tenant_id = $1 and export_id = $2`,
      [row.tenant_id, row.export_id],
    );
  });
}

async function deleteFiles(
  transaction: CrossTenantTransaction,
  row: Pick<OpenExport, 'tenant_id' | 'export_id'>,
): Promise<void> {
  await transaction.query(`delete from ops.tenant_export_files where tenant_id = $1 and export_id = $2`, [
    row.tenant_id,
    row.export_id,
  ]);
}
