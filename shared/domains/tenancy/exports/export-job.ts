import { createHash } from 'node:crypto';
import type { Job, JobRun } from '../../../platform/jobs/job.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { isExported, openTable, type ExportPage } from '../../../platform/tenant-data/read-rows.ts';
import type { TenantTable } from '../../../platform/tenant-data/tenant-table.ts';
import { addDays, MINUTE_MS } from '../../../platform/time/clock.ts';
import {
  endExport,
  ExportTaken,
  findFiles,
  findOpen,
  findToDelete,
  noteDeleted,
  noteFailure,
  positionOf,
  restart,
  savePart,
  type OpenExport,
  type Position,
} from './export-ledger.ts';
import { BLOBS, COPIES, MANIFEST, manifestText, sourceOf } from './manifest.ts';
import { writePart, type Source } from './write-part.ts';

/** A part begins only while this much time is left: a page of rows and its upload. */
const RESERVE_MS = 15_000;
/** After this many failed attempts, over at least as many minutes, an export is given up. */
const FAILURES_MAX = 30;
/** Containers deleted in one batch. */
const DELETE_BATCH = 20;
/** After the last source: everything is written, except the manifest. */
const DONE = 'done';

/** What is exported. */
interface Exported {
  readonly tables: readonly TenantTable[];
  /** Copies a page of a tenant's blobs. */
  readonly copyBlobs: (
    services: JobRun['services'],
    tenantId: string,
    exportId: string,
    after: readonly string[] | undefined,
  ) => Promise<ExportPage>;
}

/**
 * Makes the exports that tenants asked for, part by part, and deletes those whose time is over. What a part wrote is stored with the
 * place where the next one begins. So a run that is killed costs the part that it was writing, and two runs at once write files that
 * only one of them can book. The export that waited longest for its turn is next.
 */
export const tenantExportsJob = (exported: Exported): Job => ({
  name: 'tenant-exports',
  budgetMs: 4 * MINUTE_MS,
  async run(run) {
    await deleteOld(run);
    const { core } = run.services.crossTenant;
    // An export that failed is worked on again in the next run.
    const before = run.services.clock.now();
    let failure: Error | undefined;
    while (run.timeLeftMs() > RESERVE_MS) {
      const row = await findOpen(core, before);
      if (row === undefined) {
        if (failure !== undefined) throw failure;
        return 'completed';
      }
      run.progress.examined += 1;
      await work(run, exported, row).catch(async (error: unknown) => {
        if (error instanceof ExportTaken) return;
        failure ??= error instanceof Error ? error : new Error('an export failed', { cause: error });
        await giveBack(run, row, error);
      });
    }
    if (failure !== undefined) throw failure;
    return 'partial';
  },
});

/** Works on one export until it is completed or the run's time ends. */
async function work(run: JobRun, { tables, copyBlobs }: Exported, row: OpenExport): Promise<void> {
  const { services } = run;
  const { core } = services.crossTenant;
  if (row.is_erased) {
    await endExport(core, row, { status: 'failed', error: 'erased', deleteAfter: run.now }, run.now);
    return;
  }
  const exportable = tables.filter(isExported);
  const names = [...exportable.map(sourceOf), BLOBS, DONE];
  const sources = createHash('sha256').update(names.join('\n')).digest('hex').slice(0, 16);
  let stored: unknown = row.position;
  let at = positionOf(row);
  if (at.source !== undefined && (at.sources !== sources || !names.includes(at.source))) {
    // Another release has other tables. One that is new may come before this place.
    await restart(core, row);
    [stored, at] = [{}, positionOf({ position: {} })];
  }
  await services.exports.create(row.export_id);
  for (const [n, name] of names.entries()) {
    if (name === DONE || (at.source !== undefined && n < names.indexOf(at.source))) continue;
    const table = exportable[n];
    const source: Source = {
      name,
      read:
        table === undefined
          ? (after) => copyBlobs(services, row.tenant_id, row.export_id, after)
          : await openTable(services, row.tenant_id, table),
    };
    do {
      if (run.timeLeftMs() <= RESERVE_MS) return;
      const { part, after } = at.source === name ? at : { part: 1, after: undefined };
      const written = await writePart(run, row.export_id, source, { part, after });
      const to: Position = {
        sources,
        source: written.next === undefined ? (names[n + 1] ?? DONE) : name,
        part: written.next === undefined ? 1 : part + 1,
        ...(written.next === undefined ? {} : { after: [...written.next] }),
        unreadable: at.unreadable + written.unreadable,
      };
      await savePart(core, row, { from: stored, to, file: written.file }, services.clock.now());
      [stored, at] = [to, to];
      run.progress.bytes += written.file?.bytes ?? 0;
    } while (at.source === name);
  }
  await complete(run, tables, row, at.unreadable);
}

/** Removes what no part booked, and writes the manifest. Then the export is offered. */
async function complete(
  run: JobRun,
  tables: readonly TenantTable[],
  row: OpenExport,
  unreadable: number,
): Promise<void> {
  const { services } = run;
  const { core } = services.crossTenant;
  const files = await findFiles(core, row);
  const booked = new Set(files.map(({ name }) => name));
  for await (const names of services.exports.names(row.export_id))
    for (const name of names)
      // Copies of blobs are in the lines of the source `blobs`. A copy that was made twice has the same bytes.
      if (!booked.has(name) && !name.startsWith(COPIES) && name !== MANIFEST)
        await services.exports.deleteFile(row.export_id, name);
  const now = services.clock.now();
  const about = {
    tenant_id: row.tenant_id,
    export_id: row.export_id,
    requested_at: row.created_at,
    completed_at: now.toISOString(),
    unreadable,
  };
  const text = manifestText(about, tables, files);
  await services.exports.write(row.export_id, MANIFEST, Buffer.from(text, 'utf8'), 'application/json');
  const deleteAfter = addDays(now, services.settings.EXPORT_KEEP_DAYS);
  const entry = await endExport(core, row, { status: 'completed', deleteAfter }, now);
  if (entry !== undefined) services.publisher.publish(entry);
}

/** An attempt has failed. After too many, the export has failed, and what it wrote is deleted. */
async function giveBack(run: JobRun, row: OpenExport, error: unknown): Promise<void> {
  const { services } = run;
  const { core } = services.crossTenant;
  const now = services.clock.now();
  log.error('export-failed', { export_id: row.export_id, tenant_id: row.tenant_id, ...errorFields(error) });
  const name = error instanceof Error ? error.name : 'Error';
  if (row.failures + 1 < FAILURES_MAX) return noteFailure(core, row, name, now);
  const entry = await endExport(core, row, { status: 'failed', error: name, deleteAfter: now }, now);
  if (entry !== undefined) services.publisher.publish(entry);
}

/** Deletes the containers whose time is over. */
async function deleteOld(run: JobRun): Promise<void> {
  const { core } = run.services.crossTenant;
  while (run.timeLeftMs() > RESERVE_MS) {
    const old = await findToDelete(core, run.now, DELETE_BATCH);
    for (const row of old) {
      await run.services.exports.delete(row.export_id);
      await noteDeleted(core, row);
    }
    run.progress.deleted += old.length;
    if (old.length < DELETE_BATCH) return;
  }
}
