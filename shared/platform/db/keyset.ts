import type { CrossTenantDatabase, Parameter, StatementOptions, TenantDatabase } from './tenant-database.ts';

/** The position of a page's last row: its time as text with microseconds, and its id for rows of the same time. */
export interface Position {
  readonly at: string;
  readonly id: string;
}

/** Which page is requested. */
export interface PageRequest {
  readonly limit: number;
  readonly descending: boolean;
  readonly after: Position | undefined;
}

/** A condition of a list: SQL with `?` in place of its value. Column names come from the code, never from a client. */
export interface Condition {
  readonly sql: string;
  readonly value: Parameter;
}

/** Builds a condition, or none when its filter is absent. */
export function when(sql: string, value: Parameter | undefined): readonly Condition[] {
  return value === undefined ? [] : [{ sql, value }];
}

/** A list that is read page by page: by keyset on (time, id), never by offset. */
export interface KeysetList {
  readonly table: string;
  readonly columns: string;
  /** The list is ordered by a time column and an id column. The index is (tenant_id, time, id). */
  readonly timeColumn: string;
  readonly idColumn: string;
  /** The id's type, for the comparison. */
  readonly idType: 'uuid' | 'text';
  readonly conditions: readonly Condition[];
  /** One more condition, without a value. */
  readonly where?: string;
  /** The tenant's column. Null for a platform's table, which has none. */
  readonly tenantColumn?: 'tenant_id' | null;
}

/** Numbers the `?` of a text, starting with `$first`. */
export function numbered(sql: string, first: number): string {
  let next = first;
  return sql.replaceAll('?', () => `$${next++}`);
}

/** The text and parameters of one page. It reads one row more than requested, to know whether there is a next page. */
export function pageStatement(
  list: KeysetList,
  page: PageRequest,
): { text: string; parameters: Parameter[] } {
  const parameters: Parameter[] = [];
  const bind = (sql: string, ...values: readonly Parameter[]): string => {
    const text = numbered(sql, parameters.length + 2);
    parameters.push(...values);
    return text;
  };
  const conditions = list.conditions.map((condition) => bind(condition.sql, condition.value));
  if (list.where !== undefined) conditions.push(list.where);
  if (list.tenantColumn !== null) conditions.unshift('tenant_id = scope.tenant_id');
  if (page.after !== undefined) {
    const than = page.descending ? '<' : '>';
    conditions.push(
      bind(
        `(${list.timeColumn}, ${list.idColumn}) ${than} (?::timestamptz, ?::${list.idType})`,
        page.after.at,
        page.after.id,
      ),
    );
  }
  const direction = page.descending ? 'desc' : 'asc';
  const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;
  const text = `select page.* from scope, lateral (
      select ${list.columns} from ${list.table} ${where}
       order by ${list.timeColumn} ${direction}, ${list.idColumn} ${direction} ${bind('limit ?', page.limit + 1)} offset 0) page
     order by page.${list.timeColumn} ${direction}, page.${list.idColumn} ${direction}`;
  return { text, parameters };
}

/** Reads one page. */
export function readKeyset<Row extends Record<string, unknown>>(
  tenant: TenantDatabase,
  list: KeysetList,
  page: PageRequest,
  options: StatementOptions = {},
): Promise<Row[]> {
  const { text, parameters } = pageStatement(list, page);
  return tenant.statement<Row>(text, parameters, options);
}

/**
 * Reads one page of a platform's table, for operators' routes. Only the cross-tenant role (`comply_jobs`) may read those
 * tables.
 */
export function readPlatformKeyset<Row extends Record<string, unknown>>(
  database: CrossTenantDatabase,
  list: Omit<KeysetList, 'tenantColumn'>,
  page: PageRequest,
): Promise<Row[]> {
  const { text, parameters } = pageStatement({ ...list, tenantColumn: null }, page);
  return database.query<Row>(`with scope as materialized (select $1::text as nobody) ${text}`, [
    null,
    ...parameters,
  ]);
}
