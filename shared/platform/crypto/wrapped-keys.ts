import type { CrossTenantDatabase } from '../db/tenant-database.ts';
import { errorFields, log } from '../log/log.ts';
import type { KeyVersion } from './key-version.ts';
import { binding, open, seal } from './sealing.ts';

/** How many living data keys each version of the key-encryption key wraps. None can be opened without its version. */
export function countWrappedKeys(
  database: CrossTenantDatabase,
): Promise<{ readonly version: string; readonly data_keys: number }[]> {
  return database.query<{ version: string; data_keys: number }>(
    `select wrapped_with as version, count(*) as data_keys from ops.data_keys
      where wrapped_key is not null group by 1 order by 1`,
  );
}

/** The versions that wrap living data keys. It reads one entry of the index for each. */
export async function wrappingVersions(database: CrossTenantDatabase): Promise<string[]> {
  const first = (after: string): string =>
    `select wrapped_with from ops.data_keys where wrapped_key is not null ${after} order by wrapped_with limit 1`;
  const rows = await database.query<{ version: string }>(
    `with recursive used (version) as (
       (${first('')})
       union all
       select (${first('and wrapped_with > used.version')}) from used where used.version is not null)
     select version from used where version is not null`,
  );
  return rows.map(({ version }) => version);
}

/** All data keys: how many live, how many were destroyed, and the age of the oldest that lives. */
export async function summarizeDataKeys(database: CrossTenantDatabase): Promise<{
  readonly living: number;
  readonly destroyed: number;
  readonly oldest: string | null;
}> {
  const [row] = await database.query<{ living: number; destroyed: number; oldest: string | null }>(
    `select count(wrapped_key) as living, count(destroyed_at) as destroyed,
            min(created_at) filter (where wrapped_key is not null) as oldest
       from ops.data_keys`,
  );
  return row ?? { living: 0, destroyed: 0, oldest: null };
}

/** Where a batch ended. */
export interface WrappedPosition {
  readonly tenantId: string;
  readonly keyId: string;
}

/** What became of a batch. */
export interface RewrappedBatch {
  readonly rewrapped: number;
  /** Data keys whose bytes do not open with their version. They stay as they are. */
  readonly broken: number;
  /** Undefined: that was the last one of this version. */
  readonly next: WrappedPosition | undefined;
}

/** Small enough to hold its rows for some milliseconds only: a tenant that is erased meanwhile waits for them. */
const BATCH = 100;

interface Row {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly key_id: string;
  readonly wrapped_key: Buffer;
}

/**
 * Wraps a batch of the data keys of one version with another version, in one transaction. Rows that another transaction holds are
 * left out. The plain keys do not change and nothing else does, so it may be stopped at any moment, and run twice at once.
 */
export function rewrapBatch(
  database: CrossTenantDatabase,
  from: KeyVersion,
  to: KeyVersion,
  after: WrappedPosition | undefined,
  now: Date,
): Promise<RewrappedBatch> {
  return database.transaction(async (transaction) => {
    const rows = await transaction.query<Row>(
      `select tenant_id, key_id, wrapped_key from ops.data_keys
        where wrapped_with = $1 and wrapped_key is not null and (tenant_id, key_id) > ($2, $3::uuid)
        order by tenant_id, key_id limit ${BATCH} for update skip locked`,
      [from.version, after?.tenantId ?? '', after?.keyId ?? '00000000-0000-0000-0000-000000000000'],
    );
    const wrapped = rows.flatMap((row) => wrapAgain(row, from, to));
    if (wrapped.length > 0)
      await transaction.query(
        `update ops.data_keys k set wrapped_key = decode(n.wrapped, 'base64'), wrapped_with = $1, rewrapped_at = $2
           from unnest($3::text[], $4::uuid[], $5::text[]) n (tenant_id, key_id, wrapped)
          where k.tenant_id = n.tenant_id and k.key_id = n.key_id`,
        [
          to.version,
          now,
          wrapped.map((row) => row.tenantId),
          wrapped.map((row) => row.keyId),
          wrapped.map((row) => row.wrapped),
        ],
      );
    const last = rows.length < BATCH ? undefined : rows.at(-1);
    return {
      rewrapped: wrapped.length,
      broken: rows.length - wrapped.length,
      next: last === undefined ? undefined : { tenantId: last.tenant_id, keyId: last.key_id },
    };
  });
}

interface WrappedAgain {
  readonly tenantId: string;
  readonly keyId: string;
  /** In base64. */
  readonly wrapped: string;
}

/** Nothing for a key that does not open: its bytes are all that there is, so they stay. */
function wrapAgain(
  { tenant_id: tenantId, key_id: keyId, wrapped_key: old }: Row,
  from: KeyVersion,
  to: KeyVersion,
): WrappedAgain[] {
  const bound = binding(tenantId, keyId);
  try {
    const plain = open(from.key, old, bound);
    const wrapped = seal(to.key, plain, bound);
    // The old bytes are gone after this, so the new ones must open.
    if (!open(to.key, wrapped, bound).equals(plain)) throw new Error('the new bytes do not open');
    return [{ tenantId, keyId, wrapped: wrapped.toString('base64') }];
  } catch (error) {
    log.error('data-key-broken', {
      tenant_id: tenantId,
      key_id: keyId,
      version: from.version,
      ...errorFields(error),
    });
    return [];
  }
}
