import type { CrossTenantTransaction, Parameter } from '../../../platform/db/tenant-database.ts';
import { keptColumns } from './kept-columns.ts';

/** A row that mirrors an object of Stripe, by its columns. */
export interface MirrorRow {
  /** `insert into <table> as m`: the table's owner writes its name. */
  readonly insert: `insert into ${string} as m`;
  /** The columns of the primary key. */
  readonly key: Readonly<Record<string, Parameter>>;
  readonly createdAt: Date;
  /** All other columns that Stripe says. Undefined is null. */
  readonly columns: Readonly<Record<string, Parameter | undefined>>;
  /** Whether its tenant is erased: then only what an erasure keeps is written. */
  readonly isErased: boolean;
}

/**
 * Writes a row. Returns false, and writes nothing, where it is so already: a repeated event leaves no trace. Of an erased tenant it
 * writes what an erasure would leave of the row.
 */
export async function upsertMirror(
  transaction: Pick<CrossTenantTransaction, 'query'>,
  { insert, key, createdAt, columns: said, isErased }: MirrorRow,
  now: Date,
): Promise<boolean> {
  const kept = isErased ? keptColumns(insert) : {};
  if (kept === undefined) return false;
  const columns = { ...said, ...kept };
  const keys = Object.keys(key);
  const names = Object.keys(columns);
  const every = [...keys, 'created_at', 'synced_at', 'updated_at', ...names];
  const fromNew = names.map((name) => `excluded.${name}`).join(', ');
  const rows = await transaction.query(
    `${insert} (${every.join(', ')}) values (${every.map((_, n) => `$${n + 1}`).join(', ')})
     on conflict (${keys.join(', ')}) do update
       set (${names.join(', ')}, synced_at, updated_at, version) =
           (${fromNew}, excluded.synced_at, excluded.updated_at, m.version + 1)
       where (${names.map((name) => `m.${name}`).join(', ')}) is distinct from (${fromNew})
     returning 1`,
    [...Object.values(key), createdAt, now, now, ...Object.values(columns).map((value) => value ?? null)],
  );
  return rows.length > 0;
}
