import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AdminSql } from './bench-stack.ts';

/** A table and the connection to its database. */
export interface CopiedTable {
  readonly sql: AdminSql;
  readonly table: string;
}

/** Bytes written to the connection at once, as psql and other clients do. */
const CHUNK = 64 * 1024;

async function readRows({ sql, table }: CopiedTable): Promise<Buffer> {
  // COPY reads from a partitioned table only through a query.
  const stream = await sql.unsafe(`copy (select * from ${table}) to stdout`).readable();
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function writeRows({ sql, table }: CopiedTable, rows: Buffer): Promise<void> {
  const chunks = Array.from({ length: Math.ceil(rows.length / CHUNK) }, (_, n) =>
    rows.subarray(n * CHUNK, (n + 1) * CHUNK),
  );
  const into = await sql.unsafe(`copy ${table} from stdin`).writable();
  await pipeline(Readable.from(chunks), into);
}

/**
 * Removes the rows from the tables and measures how long COPY takes to write the same rows again, one table after the
 * other. Returns seconds.
 */
export async function timeCopy(tables: readonly CopiedTable[]): Promise<number> {
  let seconds = 0;
  for (const table of tables) {
    const rows = await readRows(table);
    await table.sql.unsafe(`truncate ${table.table}`);
    await table.sql.unsafe('checkpoint');
    const startedAt = performance.now();
    await writeRows(table, rows);
    seconds += (performance.now() - startedAt) / 1000;
  }
  return seconds;
}
