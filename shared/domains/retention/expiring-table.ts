import type { DataType } from './expiry.ts';
import { coversSql, heldSql, retainedSql } from './holds.ts';

/** The fate of a row that is past its expiry: deleted, or kept by a hold, a policy or its table's own reason. */
export type Fate = 'expired' | 'on_hold' | 'not_archived' | 'retained' | 'needed';

/** Rows that an id in a hold's scope can name. */
export interface NamedRows {
  /** SQL of a FROM clause with its condition: the tenant `$1`'s rows that the id `w.id` names, found through an index. */
  readonly from: string;
  readonly where: string;
  /** The kinds of data that the rows count as. */
  readonly dataTypes: readonly DataType[];
  /** SQL for the creation time. Absent for rows of the future: a scope covers them unless it has already ended. */
  readonly createdAt?: string;
}

/**
 * A table whose rows expire. Each domain declares its own tables and owns the SQL. The composition root passes them to the
 * jobs and routes that process all of them. A table has `tenant_id`, `created_at`, `expires_at`, and an index that begins
 * with `expires_at` and the id.
 */
export interface ExpiringTable {
  readonly table: string;
  readonly idColumn: string;
  readonly dataType: DataType;
  /** SQL over the alias `t`: the ids that a hold may use for the row, as uuid[]. */
  readonly holdIds: string;
  /** What an id in a hold's scope may name; the usual case first. */
  readonly named: readonly NamedRows[];
  /** The table's own reasons to keep an expired row: conditions over the alias `t`. The first true one counts. */
  readonly stays: readonly { readonly fate: 'not_archived' | 'needed'; readonly when: string }[];
  /** A table without a foreign key to this one. Its rows with the same `idColumn` are deleted too. */
  readonly companion?: string;
  /** For a table partitioned by day: the day's column, and the partition of rows with another retention than the platform's. */
  readonly partitions?: { readonly column: string; readonly keptDay: string };
}

/** SQL that is true if an id (`w.id`) of the tenant `$1` names a row that the scope `$3` covers. */
export function namesSql(tables: readonly ExpiringTable[]): string {
  const later = `greatest(now(), ops.scope_bound($3::jsonb, 'created_from', '-infinity'))`;
  const lookUps = tables.flatMap(({ named }) =>
    named.map(({ from, where, dataTypes, createdAt }) => {
      const covered = coversSql('$3::jsonb', dataTypes, createdAt ?? later);
      return `(select true from ${from} where ${where} and ${covered} limit 1)`;
    }),
  );
  return `coalesce(${lookUps.join(', ')}, false)`;
}

/** SQL over the alias `t`: the {@link Fate} of an expired row; 'expired' if nothing keeps it. */
export function fateSql({ dataType, holdIds, stays }: ExpiringTable): string {
  const held = heldSql({
    tenantId: 't.tenant_id',
    dataTypes: [dataType],
    ids: holdIds,
    createdAt: 't.created_at',
  });
  const when = (fate: 'not_archived' | 'needed'): string =>
    stays.flatMap((stay) => (stay.fate === fate ? [`when ${stay.when} then '${fate}'`] : [])).join(' ');
  return `case ${when('not_archived')} when ${held} then 'on_hold'
               when ${retainedSql('t.tenant_id', dataType)} then 'retained' ${when('needed')} else 'expired' end`;
}
