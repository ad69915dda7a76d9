import { inBatch } from '../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { SearchedTable } from './catalogue.ts';

/** Rows that a search looks at in one batch. */
export const PAGE_SIZE = 2_000;
/** The bytes of a column that are searched. What is sealed looks like chance, and is longer. */
const BYTES_MAX = 65_536;

/** What a page has of the tenant. */
export interface SearchedPage {
  /** Rows of the tenant. */
  readonly own: number;
  /** Rows of others that name it in any text. */
  readonly naming: number;
  /** The key of the page's last row, as texts; undefined after the last page. */
  readonly next: readonly string[] | undefined;
}

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A tenant's id as a whole word: ids have letters, digits, `-` and `_`. */
const namePattern = (tenantId: string): string => `(^|[^a-z0-9_-])${tenantId}($|[^a-z0-9_-])`;

/** One column as text. */
function textOf({ name, is_bytes: isBytes }: SearchedTable['columns'][number]): string {
  return isBytes ? `encode(substr(t.${quoted(name)}, 1, ${BYTES_MAX}), 'escape')` : `t.${quoted(name)}::text`;
}

/**
 * Searches the next rows of a table for a tenant, in every column of text, JSON or bytes. It walks in the order of the primary key, so
 * that a batch never reads more than its own rows.
 */
export async function searchPage(
  database: CrossTenantDatabase,
  table: SearchedTable,
  tenantId: string,
  after: readonly string[] | undefined,
): Promise<SearchedPage> {
  const keys = table.key.map(({ name }) => `t.${quoted(name)}`).join(', ');
  const bounds = table.key.map(({ type }, n) => `$${n + 4}::${type}`).join(', ');
  const isOwn = table.has_tenant ? 'coalesce(tenant_id = $1::text, false)' : '$1::text is null';
  const texts = table.columns
    .filter(({ is_id: isId }) => !isId)
    .map(textOf)
    .join(', ');
  const rows = await inBatch(database, (transaction) =>
    transaction.query<{ own: number; naming: number; rows: number; last: string[] | null }>(
      `with page as materialized (
         select t.* from ${table.name} t ${after === undefined ? '' : `where (${keys}) > (${bounds})`} order by ${keys} limit $3),
       judged as (
         select ${isOwn} as is_own, ${texts === '' ? '$2::text is null' : `concat_ws(' ', ${texts}) ~ $2::text`} as names from page t)
       select count(*) filter (where is_own) as own, count(*) filter (where names and not is_own) as naming, count(*) as rows,
              (select json_build_array(${table.key.map(({ name }) => `t.${quoted(name)}::text`).join(', ')})
                 from page t offset greatest((select count(*) from page) - 1, 0) limit 1) as last
         from judged`,
      [tenantId, namePattern(tenantId), PAGE_SIZE, ...(after ?? [])],
      { prepare: false },
    ),
  );
  const [found] = rows;
  if (found === undefined) throw new Error('a count has no row');
  return {
    own: found.own,
    naming: found.naming,
    next: found.rows < PAGE_SIZE || found.last === null ? undefined : found.last,
  };
}
