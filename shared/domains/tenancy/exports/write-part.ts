import { createHash, randomBytes } from 'node:crypto';
import type { FileWriter } from '../../../platform/blob/export-store.ts';
import type { JobRun } from '../../../platform/jobs/job.ts';
import type { ExportPage } from '../../../platform/tenant-data/read-rows.ts';
import type { ExportFile } from './manifest.ts';

/** A file is closed after this much: so much is written again when a run is killed. */
const FILE_BYTES = 32 * 1024 * 1024;

/** A part ends while this much of the run's time is left, to store what it wrote. */
const RESERVE_MS = 10_000;

/** Where an export's lines come from: a table, or the blobs. */
export interface Source {
  readonly name: string;
  /** Reads the page after a place. */
  readonly read: (after: readonly string[] | undefined) => Promise<ExportPage>;
}

/** What a part wrote. */
interface Part {
  /** Undefined if there was nothing to write. */
  readonly file: ExportFile | undefined;
  /** Where the next part begins; undefined after the source's last one. */
  readonly next: readonly string[] | undefined;
  readonly unreadable: number;
}

/**
 * Writes the next file of a source, page by page: one page is in memory. Its name has a random part, so that what a killed run, or another
 * run at the same time, writes is another file. Such files are in no manifest, and are deleted before there is one.
 */
export async function writePart(
  run: JobRun,
  exportId: string,
  source: Source,
  { part, after }: { readonly part: number; readonly after: readonly string[] | undefined },
): Promise<Part> {
  const name = `${source.name}/${String(part).padStart(6, '0')}-${randomBytes(4).toString('hex')}.jsonl`;
  const hash = createHash('sha256');
  let writer: FileWriter | undefined;
  let [rows, bytes, unreadable] = [0, 0, 0];
  let place = after;
  do {
    const page = await source.read(place);
    if (page.lines.length > 0) {
      const block = Buffer.from(page.lines.map((line) => `${line}\n`).join(''), 'utf8');
      writer ??= await run.services.exports.startFile(exportId, name, 'application/x-ndjson');
      await writer.add(block);
      hash.update(block);
      rows += page.lines.length;
      bytes += block.length;
      unreadable += page.unreadable;
    }
    place = page.next;
  } while (place !== undefined && bytes < FILE_BYTES && run.timeLeftMs() > RESERVE_MS);
  await writer?.commit();
  const file =
    writer === undefined ? undefined : { name, source: source.name, rows, bytes, sha256: hash.digest() };
  return { file, next: place, unreadable };
}
