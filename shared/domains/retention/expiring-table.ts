import type { DataType } from './expiry.ts';
import { heldSql, retainedSql } from './holds.ts';

/** Why a row whose time is over stays: a hold, a policy, or a reason of its table's own. */
export type Fate = 'expired' | 'on_hold' | 'not_archived' | 'retained' | 'needed';

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
  /**
   * SQL: scalar subqueries that are true where an id (`w.id`) of the tenant `$1` names something that a hold would hold, each
   * a look-up through an index.
   */
  readonly named: readonly string[];
  /** Reasons of its own why a row stays though its time is over: conditions over the alias `t`, the first that is true counts. */
  readonly stays: readonly { readonly fate: 'not_archived' | 'needed'; readonly when: string }[];
  /** A table without a foreign key to this one, whose rows of the same `idColumn` go with it. */
  readonly companion?: string;
  /** Where rows lie in partitions by day: the day's column, and the partition of rows that keep other than the platform's time. */
  readonly partitions?: { readonly column: string; readonly keptDay: string };
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
