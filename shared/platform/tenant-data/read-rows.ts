import type { DataKeys } from '../crypto/data-keys.ts';
import { DataKeyDestroyed } from '../crypto/data-keys.ts';
import { binding, open, SealBroken } from '../crypto/sealing.ts';
import type { CrossTenantDatabases } from '../call/call.ts';
import { inBatch } from '../db/batch-transaction.ts';
import { log } from '../log/log.ts';
import type { ExportedTable, SealedColumn, TenantTable } from './tenant-table.ts';

/** Rows that are in memory at once. The largest have some hundred kilobytes. */
const PAGE_ROWS = 200;

/** A page of what is exported: a JSON text for each row. */
export interface ExportPage {
  readonly lines: readonly string[];
  /** Where the next page begins; undefined after the last one. */
  readonly next: readonly string[] | undefined;
  /** Rows with a sealed column that nobody can open any more. It is null in the row. */
  readonly unreadable: number;
}

/** What reading a tenant's rows needs. */
interface ReadServices {
  readonly crossTenant: CrossTenantDatabases;
  readonly dataKeys: Pick<DataKeys, 'find'>;
}

/** A table that is exported. */
export type ExportableTable = TenantTable & { readonly export: ExportedTable };

/** Whether a table is exported. */
export const isExported = (table: TenantTable): table is ExportableTable => !('not' in table.export);

interface Row {
  readonly [column: string]: unknown;
  readonly line: string;
  readonly place: readonly string[];
}

/**
 * Reads a tenant's rows of a table, page by page, in the order of its key. A page is what one statement sees. So a row that stays
 * unchanged meanwhile is read exactly once, and a changed one as it is when its page is read. Values have PostgreSQL's own form in
 * JSON: bytes are `\x` and hex, times have microseconds. Sealed columns are opened.
 */
export async function openTable(
  { crossTenant, dataKeys }: ReadServices,
  tenantId: string,
  table: ExportableTable,
): Promise<(after: readonly string[] | undefined) => Promise<ExportPage>> {
  const database = crossTenant[table.database];
  const types = await database.query<{ name: string; type: string }>(
    `select attname as name, format_type(atttypid, null) as type from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
    [table.table],
  );
  const typeOf = new Map(types.map(({ name, type }) => [name, type]));
  const sealed = table.export.sealed ?? [];
  const hidden = [...(table.export.leaveOut ?? []), ...sealed.map(({ column }) => column)];
  return async (after) => {
    const text = pageText(table, sealed, typeOf, after !== undefined);
    const parameters = [tenantId, hidden, ...(after ?? [])];
    // Unnamed: a generic plan would lock every partition.
    const rows = await inBatch(database, (transaction) =>
      transaction.query<Row>(text, parameters, { prepare: false, name: 'read rows to export' }),
    );
    const lines = await Promise.all(rows.map((row) => lineOf(dataKeys, tenantId, table, row)));
    return {
      lines: lines.map(({ line }) => line),
      next: rows.length < PAGE_ROWS ? undefined : rows.at(-1)?.place,
      unreadable: lines.filter(({ isWhole }) => !isWhole).length,
    };
  };
}

function pageText(
  { table, key, export: { also = {} } }: ExportableTable,
  sealed: readonly SealedColumn[],
  typeOf: ReadonlyMap<string, string>,
  isLater: boolean,
): string {
  const columns = key.map((column) => `t.${column}`);
  const places = key.map((column, n) => `$${n + 3}::text::${typeOf.get(column) ?? 'text'}`);
  const opened = sealed.map(
    ({ column, keyId, boundTo }, n) =>
      `, t.${column} as sealed_${n}, t.${keyId}::text as key_${n}, t.${boundTo}::text as bound_${n}`,
  );
  const added = Object.entries(also).map(([name, sql]) => `'${name}', ${sql}`);
  return `select ((to_jsonb(t) - $2::text[]) || jsonb_build_object(${added.join(', ')}))::text as line,
                 json_build_array(${columns.map((column) => `${column}::text`).join(', ')}) as place ${opened.join('')}
            from ${table} t
           where t.tenant_id = $1 ${isLater ? `and (${columns.join(', ')}) > (${places.join(', ')})` : ''}
           ${key.length === 0 ? '' : `order by ${columns.join(', ')}`} limit ${PAGE_ROWS}`;
}

/** A row's JSON with its sealed columns. */
async function lineOf(
  dataKeys: Pick<DataKeys, 'find'>,
  tenantId: string,
  { table, export: { sealed = [] } }: ExportableTable,
  row: Row,
): Promise<{ readonly line: string; readonly isWhole: boolean }> {
  let { line } = row;
  let isWhole = true;
  for (const [n, { column }] of sealed.entries()) {
    const bytes = row[`sealed_${n}`];
    const [keyId, boundTo] = [String(row[`key_${n}`]), String(row[`bound_${n}`])];
    const text =
      bytes instanceof Uint8Array
        ? await openSealed(dataKeys, tenantId, { keyId, boundTo, bytes }, { table, column })
        : null;
    if (text === null) isWhole = false;
    line = `${line.slice(0, -1)}, ${JSON.stringify(column)}: ${JSON.stringify(text)}}`;
  }
  return { line, isWhole };
}

/** Sealed bytes, the key that sealed them, and the id that they are bound to. */
interface Sealed {
  readonly keyId: string;
  readonly boundTo: string;
  readonly bytes: Uint8Array;
}

/** Opens sealed text; null if nobody can: its key is destroyed, or its bytes are changed, which is logged. */
export async function openSealed(
  dataKeys: Pick<DataKeys, 'find'>,
  tenantId: string,
  { keyId, boundTo, bytes }: Sealed,
  where: Readonly<Record<string, string>>,
): Promise<string | null> {
  try {
    const { key } = await dataKeys.find(tenantId, keyId);
    return open(key, bytes, binding(tenantId, boundTo)).toString('utf8');
  } catch (error) {
    if (error instanceof DataKeyDestroyed) return null;
    if (!(error instanceof SealBroken)) throw error;
    log.error('seal-broken', { tenant_id: tenantId, bound_to: boundTo, ...where });
    return null;
  }
}
