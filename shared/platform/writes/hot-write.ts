import type { CloudEvent } from '../bus/events.ts';
import type { DatabaseName, IdempotencyClaim } from '../call/call.ts';
import type { Problem } from '../call/problem.ts';
import type { Reply } from '../call/reply.ts';
import { recordset, type Columns, type Recordset } from '../db/recordset.ts';
import type { AuditNote, Used } from './caused-events.ts';
import { CLAIM_COLUMNS, CLAIM_LOCK_SQL, CLAIM_SQL } from './idempotency.ts';
import { outboxInsert } from './outbox.ts';
import type { DailyTable } from './with-partition.ts';

/** How one kind of thing is written on a hot path: in one statement, with its idempotency keys and its outbox rows. */
export interface HotWrite extends Partial<DailyTable> {
  readonly database: DatabaseName;
  /** The route whose idempotency keys these are: a batch's items share it with the single route. */
  readonly route: string;
  readonly rows: Recordset<Columns>;
  /** The statement, but for the tenant's scope: `$2` is the route, the rows begin at `$3`. */
  readonly text: string;
}

/** What a kind of thing's own part of a {@link HotWrite} is. */
export interface HotWriteDefinition extends Partial<DailyTable> {
  /** The database of what is written; `core` unless said otherwise. */
  readonly database?: DatabaseName;
  readonly route: string;
  /** The row's own columns. */
  readonly columns: Columns;
  /**
   * Inserts that continue the WITH clause, each taking its rows from `fresh` and the tenant from `scope`. `written_at`
   * is the instant of a row's request.
   */
  readonly inserts: string;
}

const COMMON_COLUMNS = {
  ...CLAIM_COLUMNS,
  request_id: 'uuid',
  written_at: 'timestamptz',
  outbox_id: 'uuid',
  outbox_events: 'jsonb',
} as const satisfies Columns;

/** Makes the statement that writes a kind of thing. */
export function defineHotWrite({ columns, inserts, ...definition }: HotWriteDefinition): HotWrite {
  const rows = recordset<Columns>({ ...COMMON_COLUMNS, ...columns });
  const text = `, item as materialized (
         select given.*, ${CLAIM_LOCK_SQL} as free from scope, ${rows.from('given', 3)})
     ${CLAIM_SQL}
     ${inserts}
     , caused as (
         ${outboxInsert('select fresh.outbox_id, scope.tenant_id, fresh.outbox_events from fresh, scope')})
     select request_id, free, request_id in (select request_id from fresh) as fresh from item`;
  return { database: 'core', ...definition, rows, text };
}

/** One thing to write, its answer already known. */
export interface Item {
  readonly requestId: string;
  readonly claim: IdempotencyClaim | null;
  readonly row: Readonly<Record<string, unknown>>;
  readonly reply: Reply;
  readonly audit: AuditNote;
  readonly usage: readonly Used[];
  readonly events: readonly CloudEvent[];
}

/** What became of an item. */
export type ItemOutcome =
  | { readonly outcome: 'created'; readonly reply: Reply }
  | { readonly outcome: 'duplicate'; readonly reply: Reply }
  | { readonly outcome: 'refused'; readonly problem: Problem };

/** The answer to a single request written alone. */
export function singleReply(outcomes: readonly ItemOutcome[]): Reply {
  const [only] = outcomes;
  if (only === undefined) throw new Error('nothing was written');
  if (only.outcome === 'refused') throw only.problem;
  return only.reply;
}
