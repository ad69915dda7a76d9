import type { Client } from 'pg';
import pg from 'pg';

// CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY leave an invalid index when they fail or are killed. It costs every write
// and serves no read, and IF NOT EXISTS takes it for the real one.

const CREATED =
  /\bcreate\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?"?([a-z_][a-z0-9_$]*)"?\s+on\b/gi;

/** What a killed REINDEX CONCURRENTLY leaves beside the index that is still used. */
const REINDEX_LEFTOVER = /_cc(?:new|old)\d*$/;

interface Invalid {
  schema: string;
  name: string;
}

/** The names of the indexes that a file's statements build concurrently. */
function listBuilt(text: string): string[] {
  return [...text.matchAll(CREATED)].map(([, name]) => (name ?? '').toLowerCase());
}

/** The invalid indexes. An index of a partitioned table is invalid until all its partitions have it, and is not among them. */
async function findInvalid(client: Client): Promise<Invalid[]> {
  const { rows } = await client.query<Invalid>(
    `select n.nspname as schema, c.relname as name
       from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
      where not i.indisvalid and c.relkind = 'i' and n.nspname in ('public', 'ops') order by 1, 2`,
  );
  return rows;
}

function nameOf({ schema, name }: Invalid): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}

/** Drops the indexes that an earlier attempt at this file left half-built, so that the file builds them again. */
export async function dropHalfBuilt(client: Client, text: string): Promise<void> {
  const built = listBuilt(text);
  for (const invalid of await findInvalid(client))
    if (built.includes(invalid.name))
      await client.query(`drop index concurrently if exists ${nameOf(invalid)}`);
}

/**
 * Mends the invalid indexes that no pending file builds, and returns their names: drops what a killed REINDEX left beside an
 * index, and builds the others again while the table is used.
 */
export async function mendInvalidIndexes(client: Client, pending: readonly string[]): Promise<string[]> {
  const builtLater = new Set(pending.flatMap(listBuilt));
  const found = (await findInvalid(client)).filter(({ name }) => !builtLater.has(name));
  for (const invalid of found) {
    await client.query(
      REINDEX_LEFTOVER.test(invalid.name)
        ? `drop index concurrently if exists ${nameOf(invalid)}`
        : `reindex index concurrently ${nameOf(invalid)}`,
    );
  }
  return found.map(({ name }) => name);
}
