/** The PostgreSQL types that a {@link Recordset}'s columns may have. */
export type ColumnType =
  | 'text'
  | 'uuid'
  | 'jsonb'
  | 'bytea'
  | 'boolean'
  | 'smallint'
  | 'int'
  | 'numeric'
  | 'numeric(20, 9)'
  | 'timestamptz'
  | 'date'
  | 'inet';

/** Columns by name, in the order in which they are bound. */
export type Columns = Readonly<Record<string, ColumnType>>;

/** A row: any JSON value where the column is jsonb, bytes or a text elsewhere as the type reads it. Absent is null. */
export type RecordsetRow<C extends Columns> = {
  readonly [name in keyof C]?: C[name] extends 'jsonb'
    ? unknown
    : C[name] extends 'bytea'
      ? Uint8Array | null
      : string | number | boolean | Date | null;
};

/**
 * Rows for one statement, bound as one array a column. PostgreSQL reads arrays some four times as fast as the same rows as
 * JSON, and sees how many they are when it plans.
 */
export interface Recordset<C extends Columns> {
  /** A FROM item that yields the rows; their parameters are `$first` and the next ones. */
  from(alias: string, first: number): string;
  /** The rows as those parameters. No text may hold a NUL, which PostgreSQL cannot keep. */
  parameters(rows: readonly RecordsetRow<C>[]): string[];
}

/** Declares a statement's rows. */
export function recordset<C extends Columns>(columns: C): Recordset<C> {
  const entries = Object.entries(columns);
  return {
    from(alias, first) {
      const arrays = entries.map(([, type], n) => `$${first + n}::${type}[]`);
      return `unnest(${arrays.join(', ')}) as ${alias} (${entries.map(([name]) => name).join(', ')})`;
    },
    parameters: (rows) => entries.map(([name, type]) => arrayLiteral(name, type, rows)),
  };
}

function arrayLiteral(name: string, type: ColumnType, rows: readonly object[]): string {
  let text = '{';
  for (let n = 0; n < rows.length; n += 1) {
    const value: unknown = Reflect.get(rows[n] ?? {}, name);
    text += n === 0 ? '' : ',';
    text += value === undefined || value === null ? 'NULL' : element(type, value);
  }
  return `${text}}`;
}

function element(type: ColumnType, value: unknown): string {
  if (type === 'jsonb') return quoted(JSON.stringify(value));
  if (typeof value === 'string') return quoted(value);
  if (value instanceof Date) return quoted(value.toISOString());
  if (value instanceof Uint8Array)
    return `"\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}"`;
  return String(value as number | boolean);
}

const SPECIAL = /[\\"]/;
const SPECIALS = /[\\"]/g;

/** A text as an element of an array as PostgreSQL reads it. */
export function quoted(text: string): string {
  return SPECIAL.test(text) ? `"${text.replace(SPECIALS, '\\$&')}"` : `"${text}"`;
}
