import { recordset, type Columns, type RecordsetRow } from '../db/recordset.ts';
import type { TenantDatabase, TenantTransaction } from '../db/tenant-database.ts';
import type { Call, IdempotencyClaim } from '../call/call.ts';
import { Problem } from '../call/problem.ts';
import { textOf, Written, type Reply } from '../call/reply.ts';

// The only implementation of Idempotency-Key, and all SQL of ops.idempotency. Each of the three databases has that table,
// because an answer is stored in the same transaction as its effect. The protocol:
//
// 1. Lock: if a running request holds the key, the new one is refused with 409. The lock ends with the transaction.
// 2. Claim: a key with an unexpired answer has no second effect. The answer is replayed, or refused with 422 for another
//    request. An expired key is free, also when the sweep has not deleted its row yet.
// 3. Store: the answer is written with the effect. It replaces an expired one.
//
// A hot write knows its answer before its effect, and does all three in one statement ({@link CLAIM_SQL}). Any other write
// gets its answer last ({@link claimKey}, then {@link keepAnswer}).

/** How long a first answer is kept. The API's documentation states it. */
const IDEMPOTENCY_TTL_MS = 24 * 60 * 60_000;

/** A first answer as it is stored. Keys belong to a route, so the answer under a key is an `Answer` of that route. */
export interface StoredAnswer<Answer extends Reply> {
  readonly [column: string]: unknown;
  readonly key: string;
  readonly fingerprint: Buffer;
  readonly status: Answer['status'];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** Marks a replayed answer. */
const REPLAYED_HEADER = 'idempotency-replayed';

/** The parts of a call that its keys depend on: keys belong to the tenant and the route. */
export type KeyedCall = Pick<Call, 'tenant' | 'route' | 'now'>;
type Queries = Pick<TenantTransaction, 'query'>;

/**
 * Returns the stored answer again.
 * @throws Problem 422 if the key was used with another request.
 */
export function replay<Answer extends Reply>(stored: StoredAnswer<Answer>, claim: IdempotencyClaim): Answer {
  if (!stored.fingerprint.equals(claim.fingerprint)) {
    throw new Problem('IDEMPOTENCY_MISMATCH', {
      detail: 'The Idempotency-Key was used with another request body.',
    });
  }
  const headers = { ...stored.headers, [REPLAYED_HEADER]: 'true' };
  const body = stored.body === null ? undefined : new Written(stored.body);
  const reply: Reply = { status: stored.status, headers, body };
  // Only here does a stored answer get its type back: see StoredAnswer.
  return reply as Answer;
}

/** The refusal of a second request while the first one with the same key is still running. */
export class StillRunning extends Problem {
  constructor() {
    super('CONFLICT', {
      detail: 'A request with this Idempotency-Key is still running.',
      headers: { 'retry-after': '1' },
    });
  }
}

/**
 * Tries to take a key's lock, and never waits: otherwise two batches with the same keys in another order could block each
 * other.
 */
function tryLock(tenant: string, route: string, key: string): string {
  return `pg_try_advisory_xact_lock(hashtextextended(${tenant} || chr(31) || ${route} || chr(31) || ${key}, 0))`;
}

/** Reads the unexpired answers of keys. {@link store} replaces the others: the two conditions are opposites. */
function unexpired(tenant: string): string {
  return `select key, fingerprint, status, headers, body from ops.idempotency
           where tenant_id = ${tenant} and route = $2 and key = any($3::text[]) and expires_at > $4`;
}

/** Stores answers and yields their keys. A key with an unexpired answer keeps it and is not yielded. */
function store({ tenant, now, from }: { tenant: string; now: string; from: string }): string {
  return `insert into ops.idempotency as known
      (tenant_id, route, key, fingerprint, status, headers, body, created_at, expires_at)
    select ${tenant}, $2, idempotency_key, fingerprint, reply_status, reply_headers, reply_body,
           ${now}, ${now} + interval '${IDEMPOTENCY_TTL_MS} milliseconds'
      from ${from}
    on conflict (tenant_id, route, key) do update
       set fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
           body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
     where known.expires_at <= excluded.created_at
    returning known.key`;
}

/** The columns of a key and its answer in a statement's rows. */
export const CLAIM_COLUMNS = {
  idempotency_key: 'text',
  fingerprint: 'bytea',
  reply_status: 'smallint',
  reply_headers: 'jsonb',
  reply_body: 'text',
} as const satisfies Columns;

/** The values of {@link CLAIM_COLUMNS}. They are null for a request without a key. */
export function claimColumns(
  claim: IdempotencyClaim | null,
  reply: Reply,
): RecordsetRow<typeof CLAIM_COLUMNS> {
  if (claim === null) return {};
  const text = textOf(reply);
  const contentType = text === undefined ? {} : { 'content-type': 'application/json' };
  return {
    idempotency_key: claim.key,
    fingerprint: claim.fingerprint,
    reply_status: reply.status,
    reply_headers: { ...contentType, ...reply.headers },
    reply_body: text ?? null,
  };
}

/** SQL that is true if a row of `given` has no key, or no other running request holds its key on the route `$2`. */
export const CLAIM_LOCK_SQL = `(given.idempotency_key is null
  or ${tryLock('scope.tenant_id', '$2', 'given.idempotency_key')})`;

/**
 * SQL that continues a WITH clause after `scope` and `item`. It yields `fresh`: the items that take effect now. `item` has
 * {@link CLAIM_COLUMNS}, `written_at`, and {@link CLAIM_LOCK_SQL} as `free`. No two items have the same key. The statement's
 * `$2` is the route. An item that is free and not in `fresh` was answered before.
 */
export const CLAIM_SQL = `
, claimed as (${store({
  tenant: 'scope.tenant_id',
  now: 'written_at',
  from: 'item, scope where free and idempotency_key is not null',
})})
, fresh as materialized (
    select item.* from item
     where free and (idempotency_key is null or idempotency_key in (select key from claimed)))`;

const TRANSACTION_LOCK_SQL = `select ${tryLock('$1::text', '$2::text', '$3::text')} as free`;
const TRANSACTION_UNEXPIRED_SQL = unexpired('$1');
const STATEMENT_UNEXPIRED_SQL = `select i.* from scope, lateral (${unexpired('scope.tenant_id')} offset 0) i`;
const ANSWER = recordset(CLAIM_COLUMNS);
const TRANSACTION_STORE_SQL = store({
  tenant: '$1::text',
  now: '$3::timestamptz',
  from: ANSWER.from('item', 4),
});

/**
 * Claims a key until the transaction ends. Returns the earlier answer; or undefined if the effect must happen now. The
 * transaction then ends with {@link keepAnswer}.
 * @throws Problem 409 while another request holds the key, 422 if it was used with another request.
 */
export async function claimKey<Answer extends Reply>(
  transaction: Queries,
  call: KeyedCall,
  claim: IdempotencyClaim,
): Promise<Answer | undefined> {
  // Sent together, but the server runs them in order: the look-up sees what the lock's last holder committed.
  const [[lock], [stored]] = await Promise.all([
    transaction.query<{ free: boolean }>(TRANSACTION_LOCK_SQL, [call.tenant.tenantId, call.route, claim.key]),
    transaction.query<StoredAnswer<Answer>>(TRANSACTION_UNEXPIRED_SQL, [
      call.tenant.tenantId,
      call.route,
      [claim.key],
      call.now,
    ]),
  ]);
  if (lock?.free !== true) throw new StillRunning();
  return stored === undefined ? undefined : replay(stored, claim);
}

/** Stores the answer of a key that {@link claimKey} claimed in the same transaction. */
export async function keepAnswer(
  transaction: Queries,
  call: KeyedCall,
  claim: IdempotencyClaim,
  reply: Reply,
): Promise<void> {
  const row = claimColumns(claim, reply);
  const parameters = [call.tenant.tenantId, call.route, call.now, ...ANSWER.parameters([row])];
  const stored = await transaction.query(TRANSACTION_STORE_SQL, parameters);
  if (stored.length !== 1) throw new Error('the idempotency key was not claimed before its answer came');
}

/** The unexpired answers of some keys on a route, in one statement. */
export async function findAnswers<Answer extends Reply>(
  tenant: TenantDatabase,
  { route, now }: Pick<KeyedCall, 'route' | 'now'>,
  keys: readonly string[],
): Promise<ReadonlyMap<string, StoredAnswer<Answer>>> {
  if (keys.length === 0) return new Map();
  const rows = await tenant.statement<StoredAnswer<Answer>>(STATEMENT_UNEXPIRED_SQL, [route, keys, now]);
  return new Map(rows.map((row) => [row.key, row]));
}

/** As {@link findAnswers}, within a transaction. */
export async function findAnswersWithin<Answer extends Reply>(
  transaction: TenantTransaction,
  { route, now }: Pick<KeyedCall, 'route' | 'now'>,
  keys: readonly string[],
): Promise<ReadonlyMap<string, StoredAnswer<Answer>>> {
  if (keys.length === 0) return new Map();
  const parameters = [transaction.tenantId, route, keys, now];
  const rows = await transaction.query<StoredAnswer<Answer>>(TRANSACTION_UNEXPIRED_SQL, parameters);
  return new Map(rows.map((row) => [row.key, row]));
}

/**
 * The earlier answer to a call's key, without a claim. It saves a repeated request the work before the write.
 * @throws Problem 422 if the key was used with another request.
 */
export async function findEarlierAnswer<Answer extends Reply>(
  tenant: TenantDatabase,
  call: KeyedCall,
  claim: IdempotencyClaim | null,
): Promise<Answer | undefined> {
  if (claim === null) return undefined;
  const stored = (await findAnswers<Answer>(tenant, call, [claim.key])).get(claim.key);
  return stored === undefined ? undefined : replay(stored, claim);
}
