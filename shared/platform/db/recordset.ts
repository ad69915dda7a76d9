/** The PostgreSQL types that a {@link Recordset}'s columns may have. */
export type ColumnType =
  | 'text'
  | 'uuid'
  | 'jsonb'
  /** JSON as text. PostgreSQL gets it as text, and it needs no quoting. */
  | 'json text'
  | 'bytea'
  | 'boolean'
  | 'smallint'
  | 'int'
  | 'bigint'
  | 'float8'
  | 'numeric'
  | 'numeric(20, 9)'
  | 'timestamptz'
  | 'date'
  | 'inet';

/** Columns by name, in the order of their parameters. */
export type Columns = Readonly<Record<string, ColumnType>>;

/** The values of a column: any JSON value for jsonb, bytes for bytea, for other types a value that the type can read. */
type ColumnValue<T extends ColumnType> = T extends 'jsonb'
  ? unknown
  : T extends 'bytea'
    ? Uint8Array | null
    : string | number | boolean | Date | null;

/** A row by its columns' names. An absent value is null. */
export type RecordsetRow<C extends Columns> = {
  readonly [name in keyof C]?: ColumnValue<C[name]> | undefined;
};

/** A row, encoded as one array element for each column. */
export type EncodedRow = readonly string[];

/**
 * Rows for one statement, sent as one array per column. PostgreSQL reads arrays about four times as fast as the same rows in
 * JSON, and its planner sees their number.
 */
export interface Recordset<C extends Columns> {
  /** A FROM item that yields the rows. Their parameters start at `$first`. */
  from(alias: string, first: number): string;
  /** The rows as those parameters. A text must not contain a NUL, because PostgreSQL cannot store it. */
  parameters(rows: readonly RecordsetRow<C>[]): string[];
  /** Encodes one row for {@link bind}, when rows are collected first. */
  encode(row: RecordsetRow<C>): EncodedRow;
  /** Encoded rows as those parameters. */
  bind(rows: readonly EncodedRow[]): string[];
}

/** Declares a statement's rows. */
export function recordset<C extends Columns>(columns: C): Recordset<C> {
  const entries = Object.entries(columns);
  const encode = (row: object): EncodedRow =>
    entries.map(([name, type]) => {
      const value: unknown = Reflect.get(row, name);
      if (value === undefined || value === null) return isJson(type) ? '' : 'NULL';
      return element(type, value);
    });
  const bind = (rows: readonly EncodedRow[]): string[] =>
    entries.map(([, type], column) => {
      const elements = rows.map((row) => row[column]);
      return isJson(type) ? elements.join(SEPARATOR) : `{${elements.join(',')}}`;
    });
  return {
    from(alias, first) {
      const arrays = entries.map(([, type], n) => arrayOf(type, first + n));
      return `unnest(${arrays.join(', ')}) as ${alias} (${entries.map(([name]) => name).join(', ')})`;
    },
    encode,
    bind,
    parameters: (rows) => bind(rows.map(encode)),
  };
}

/**
 * Separates the rows of a JSON column. JSON escapes control characters, so this one never occurs in it. As array elements,
 * these texts with many quotes would have to be escaped here and unescaped there. An empty text means NULL.
 */
const SEPARATOR = '\x1e';

function isJson(type: ColumnType): boolean {
  return type === 'jsonb' || type === 'json text';
}

function arrayOf(type: ColumnType, parameter: number): string {
  if (!isJson(type)) return `$${parameter}::${type}[]`;
  const texts = `string_to_array($${parameter}, chr(${SEPARATOR.charCodeAt(0)}), '')`;
  return type === 'jsonb' ? `${texts}::jsonb[]` : texts;
}

function element(type: ColumnType, value: unknown): string {
  if (type === 'jsonb') return JSON.stringify(value);
  if (type === 'json text') return String(value);
  if (typeof value === 'string') return quoted(value);
  if (value instanceof Date) return quoted(value.toISOString());
  if (value instanceof Uint8Array)
    return `"\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}"`;
  return String(value);
}

const SPECIAL = /[\\"]/;
const SPECIALS = /[\\"]/g;

/** A text as an element of a PostgreSQL array. */
export function quoted(text: string): string {
  return SPECIAL.test(text) ? `"${text.replace(SPECIALS, '\\$&')}"` : `"${text}"`;
}
