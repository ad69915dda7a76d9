import type { Columns } from '../db/recordset.ts';
import type { TenantDatabase } from '../db/tenant-database.ts';
import type { IdempotencyClaim } from '../call/call.ts';
import { Problem } from '../call/problem.ts';
import type { Reply } from '../call/reply.ts';

/** How long a first answer is kept; published in the API's documentation. */
export const IDEMPOTENCY_TTL_MS = 24 * 60 * 60_000;
/** A first answer as it is stored. */
export interface StoredAnswer {
  readonly [column: string]: unknown;
  readonly key: string;
  readonly fingerprint: Buffer;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** Marks an answer that was given before. */
export const REPLAYED_HEADER = 'idempotency-replayed';

/**
 * The stored answer again.
 * @throws Problem 422 if the key came with another request.
 */
export function replay(stored: StoredAnswer, claim: IdempotencyClaim): Reply {
  if (!stored.fingerprint.equals(claim.fingerprint)) {
    throw new Problem('IDEMPOTENCY_MISMATCH', {
      detail: 'The Idempotency-Key was used with another request body.',
    });
  }
  const headers = { ...stored.headers, [REPLAYED_HEADER]: 'true' };
  return stored.body === null
    ? { status: stored.status, headers }
    : { status: stored.status, headers, text: stored.body };
}

/** Refuses a second request under a key whose first one is still running. */
export function stillRunning(): Problem {
  return new Problem('CONFLICT', {
    detail: 'A request with this Idempotency-Key is still running.',
    headers: { 'retry-after': '1' },
  });
}

/** The unexpired answers of some keys on a route. */
export async function findAnswers(
  tenant: TenantDatabase,
  route: string,
  keys: readonly string[],
  now: Date,
): Promise<Map<string, StoredAnswer>> {
  const rows = await tenant.statement<StoredAnswer>(
    `select i.* from scope, lateral (
       select key, fingerprint, status, headers, body from ops.idempotency
        where tenant_id = scope.tenant_id and route = $2 and key = any($3::text[]) and expires_at > $4 offset 0) i`,
    [route, keys, now],
  );
  return new Map(rows.map((row) => [row.key, row]));
}

/** The columns of `item` that {@link CLAIM_SQL} needs. */
export const CLAIM_COLUMNS = {
  idempotency_key: 'text',
  fingerprint: 'bytea',
  reply_status: 'smallint',
  reply_headers: 'jsonb',
  reply_body: 'text',
} as const satisfies Columns;

/**
 * SQL that is true where a row of `given` needs no key, or its key on the route `$2` is held by no request that runs. The
 * key is tried, never waited for, so that two batches that name the same keys in another order cannot block each other.
 */
export const CLAIM_LOCK_SQL = `(given.idempotency_key is null or pg_try_advisory_xact_lock(
  hashtextextended(scope.tenant_id || chr(31) || $2 || chr(31) || given.idempotency_key, 0)))`;

/**
 * SQL that continues a WITH clause after `scope` and `item` and yields `fresh`: the items whose effect is to happen now.
 * `item` has {@link CLAIM_COLUMNS}, `recorded_at`, and {@link CLAIM_LOCK_SQL} as `free`; no two have the same key. The
 * statement's `$2` is the route. An item that is free and not in `fresh` was answered before.
 */
export const CLAIM_SQL = `
, claimed as (
    insert into ops.idempotency as known (tenant_id, route, key, fingerprint, status, headers, body, created_at, expires_at)
    select scope.tenant_id, $2, idempotency_key, fingerprint, reply_status, reply_headers, reply_body,
           recorded_at, recorded_at + interval '${IDEMPOTENCY_TTL_MS} milliseconds'
      from item, scope
     where free and idempotency_key is not null
    on conflict (tenant_id, route, key) do update
       set fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
           body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
     where known.expires_at <= excluded.created_at
    returning known.key)
, fresh as materialized (
    select item.* from item
     where free and (idempotency_key is null or idempotency_key in (select key from claimed)))`;
