import { isExported, type ExportableTable } from '../../../platform/tenant-data/read-rows.ts';
import type { TenantTable } from '../../../platform/tenant-data/tenant-table.ts';

/** The name of the manifest. It is written last, so an export with a manifest is whole. */
export const MANIFEST = 'manifest.json';

/** The manifest's format. Another meaning is another version. */
const FORMAT = 'com.comply-ai.tenant-export.v1';

/** The name of the source whose lines name the copied blobs. */
export const BLOBS = 'blobs';

/** The folder of the copies themselves. */
export const COPIES = 'copies/';

/** The name of a table's source, and the folder of its files. */
export const sourceOf = ({ database, table }: Pick<ExportableTable, 'database' | 'table'>): string =>
  `${database}/${table}`;

/** A file of an export. */
export interface ExportFile {
  readonly [column: string]: unknown;
  readonly name: string;
  readonly source: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: Buffer;
}

/** What the manifest says of the export as a whole. */
interface About {
  readonly tenant_id: string;
  readonly export_id: string;
  readonly requested_at: string;
  readonly completed_at: string;
  readonly unreadable: number;
}

/** The manifest: every table with its count, its files with their counts and hashes, and what is not exported with the reason. */
export function manifestText(
  about: About,
  tables: readonly TenantTable[],
  files: readonly ExportFile[],
): string {
  const filesOf = (source: string) => {
    const own = files.filter((file) => file.source === source);
    return {
      rows: own.reduce((sum, { rows }) => sum + rows, 0),
      files: own.map(({ name, rows, bytes, sha256 }) => ({
        name,
        rows,
        bytes,
        sha256: sha256.toString('hex'),
      })),
    };
  };
  const manifest = {
    format: FORMAT,
    ...about,
    tables: tables.filter(isExported).map(({ database, table, export: { leaveOut = [] } }) => ({
      database,
      table,
      left_out: leaveOut,
      ...filesOf(sourceOf({ database, table })),
    })),
    blobs: filesOf(BLOBS),
    not_exported: tables.flatMap(({ database, table, export: exported }) =>
      'not' in exported ? [{ database, table, reason: exported.not }] : [],
    ),
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}
