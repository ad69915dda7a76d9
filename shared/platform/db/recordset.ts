/** The PostgreSQL types that a {@link Recordset}'s columns may have. */
export type ColumnType =
  | 'text'
  | 'uuid'
  | 'jsonb'
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

/** Columns by name, in the order in which they are bound. */
export type Columns = Readonly<Record<string, ColumnType>>;

/** What a column takes: any JSON value for jsonb, bytes for bytea, for the others a value as the type reads it. */
type ColumnValue<T extends ColumnType> = T extends 'jsonb'
  ? unknown
  : T extends 'bytea'
    ? Uint8Array | null
    : string | number | boolean | Date | null;

/** A row by its columns' names. Absent is null. */
export type RecordsetRow<C extends Columns> = {
  readonly [name in keyof C]?: ColumnValue<C[name]> | undefined;
};

/** A row as the elements of its columns' arrays. */
export type EncodedRow = readonly string[];

/**
 * Rows for one statement, bound as one array a column. PostgreSQL reads arrays some four times as fast as the same rows as
 * JSON, and sees how many they are when it plans.
 */
export interface Recordset<C extends Columns> {
  /** A FROM item that yields the rows; their parameters are `$first` and the next ones. */
  from(alias: string, first: number): string;
  /** The rows as those parameters. No text may hold a NUL, which PostgreSQL cannot keep. */
  parameters(rows: readonly RecordsetRow<C>[]): string[];
  /** One row, for {@link bind}: where rows come together only later. */
  encode(row: RecordsetRow<C>): EncodedRow;
  /** Encoded rows as the parameters. */
  bind(rows: readonly EncodedRow[]): string[];
}

/** Declares a statement's rows. */
export function recordset<C extends Columns>(columns: C): Recordset<C> {
  const entries = Object.entries(columns);
  const encode = (row: object): EncodedRow =>
    entries.map(([name, type]) => {
      const value: unknown = Reflect.get(row, name);
      return value === undefined || value === null ? 'NULL' : element(type, value);
    });
  const bind = (rows: readonly EncodedRow[]): string[] =>
    entries.map((_, column) => `{${rows.map((row) => row[column]).join(',')}}`);
  return {
    from(alias, first) {
      const arrays = entries.map(([, type], n) => `$${first + n}::${type}[]`);
      return `unnest(${arrays.join(', ')}) as ${alias} (${entries.map(([name]) => name).join(', ')})`;
    },
    encode,
    bind,
    parameters: (rows) => bind(rows.map(encode)),
  };
}

function element(type: ColumnType, value: unknown): string {
  if (type === 'jsonb') return quoted(JSON.stringify(value));
  if (typeof value === 'string') return quoted(value);
  if (value instanceof Date) return quoted(value.toISOString());
  if (value instanceof Uint8Array)
    return `"\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}"`;
  return String(value);
}

const SPECIAL = /[\\"]/;
const SPECIALS = /[\\"]/g;

/** A text as an element of an array as PostgreSQL reads it. */
export function quoted(text: string): string {
  return SPECIAL.test(text) ? `"${text.replace(SPECIALS, '\\$&')}"` : `"${text}"`;
}
