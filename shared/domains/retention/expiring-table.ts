import type { DataType } from './expiry.ts';
import { coversSql, heldSql, retainedSql } from './holds.ts';

/** Why a row whose time is over stays: a hold, a policy, or a reason of its table's own. */
export type Fate = 'expired' | 'on_hold' | 'not_archived' | 'retained' | 'needed';

/** Rows by which a hold's id holds something, or will. */
export interface NamedRows {
  /** SQL of a FROM clause, and its condition: the rows of the tenant `$1` that the id `w.id` names, by a look-up through an index. */
  readonly from: string;
  readonly where: string;
  /** The kinds of data that a hold must cover to hold what they stand for. */
  readonly dataTypes: readonly DataType[];
  /** SQL: when that was made. Absent where it is still to come: a scope covers it unless it ends before. */
  readonly createdAt?: string;
}

/**
 * A table whose rows expire. Each domain declares its own and owns the SQL in it; the composition root hands them to the
 * jobs and routes that work on all of them. A table has `tenant_id`, `created_at` and `expires_at`, and an index that begins
 * with `expires_at` and its id.
 */
export interface ExpiringTable {
  readonly table: string;
  readonly idColumn: string;
  readonly dataType: DataType;
  /** SQL over the alias `t`: the ids by which a hold may name the row, as uuid[]. */
  readonly holdIds: string;
  /** What an id may name for a hold to hold it, the usual first. */
  readonly named: readonly NamedRows[];
  /** Reasons of its own why a row stays though its time is over: conditions over the alias `t`, the first that is true counts. */
  readonly stays: readonly { readonly fate: 'not_archived' | 'needed'; readonly when: string }[];
  /** A table without a foreign key to this one, whose rows of the same `idColumn` go with it. */
  readonly companion?: string;
  /** Where rows lie in partitions by day: the day's column, and the partition of rows that keep other than the platform's time. */
  readonly partitions?: { readonly column: string; readonly keptDay: string };
}

/** SQL that is true where an id (`w.id`) of the tenant `$1` names something that the scope `$3` covers. */
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

/** SQL over the alias `t`: why a row stays though its time is over; 'expired' where nothing keeps it. */
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
