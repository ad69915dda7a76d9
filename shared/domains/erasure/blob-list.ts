import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import type { ErasureKey } from './ledger.ts';
import type { ErasureReport } from './schemas.ts';
import type { TenantBlob } from './tenant-blobs.ts';

/** A blob that an erased tenant still has. */
export interface ListedBlob {
  readonly [column: string]: unknown;
  readonly container_name: string;
  readonly blob_name: string;
}

const BLOBS = recordset({ container_name: 'text', blob_name: 'text', may_go_at: 'timestamptz' });

/** Adds blobs to the list of those that must go. */
export async function addBlobs(
  core: CrossTenantDatabase,
  of: ErasureKey,
  blobs: readonly TenantBlob[],
): Promise<void> {
  await core.query(
    `insert into ops.erasure_blobs (tenant_id, erasure_id, container_name, blob_name, may_go_at)
     select $1, $2, container_name, blob_name, may_go_at from ${BLOBS.from('b', 3)} on conflict do nothing`,
    [
      of.tenant_id,
      of.erasure_id,
      ...BLOBS.parameters(
        blobs.map(({ container, name, mayGoAt }) => ({
          container_name: container,
          blob_name: name,
          may_go_at: mayGoAt,
        })),
      ),
    ],
  );
}

/** The next blobs to try: those that nobody has tried yet, and with `due` those that were immutable until then. */
export function nextBlobs(
  core: CrossTenantDatabase,
  of: ErasureKey,
  due: Date | null,
  limit: number,
): Promise<ListedBlob[]> {
  return core.query<ListedBlob>(
    `select container_name, blob_name from ops.erasure_blobs
      where tenant_id = $1 and erasure_id = $2 and (not is_immutable or may_go_at <= $3)
      order by container_name, blob_name limit $4`,
    [of.tenant_id, of.erasure_id, due, limit],
  );
}

/** Takes blobs that are gone off the list. Returns how many were on it: of two runs, one counts each. */
export async function takeOff(
  transaction: CrossTenantTransaction,
  of: ErasureKey,
  container: string,
  names: readonly string[],
): Promise<number> {
  const rows = await transaction.query(
    `delete from ops.erasure_blobs where tenant_id = $1 and erasure_id = $2 and container_name = $3
        and blob_name = any($4::text[]) returning 1 as one`,
    [of.tenant_id, of.erasure_id, container, names],
  );
  return rows.length;
}

/** Notes that blobs cannot be deleted yet. A leased one, which has no end, is tried again a day later. */
export async function markImmutable(
  transaction: CrossTenantTransaction,
  of: ErasureKey,
  container: string,
  names: readonly string[],
  tryAgainAt: Date,
): Promise<void> {
  await transaction.query(
    `update ops.erasure_blobs set is_immutable = true, may_go_at = greatest(may_go_at, $5)
      where tenant_id = $1 and erasure_id = $2 and container_name = $3 and blob_name = any($4::text[])`,
    [of.tenant_id, of.erasure_id, container, names, tryAgainAt],
  );
}

/** Examples in a report. The table has all. */
const EXAMPLES_MAX = 20;

/** What is left on the list. */
export async function remainingBlobs(
  core: CrossTenantDatabase,
  of: ErasureKey,
): Promise<ErasureReport['blobs']> {
  const examples = await core.query<ErasureReport['blobs']['examples'][number]>(
    `select container_name, blob_name, may_go_at from ops.erasure_blobs where tenant_id = $1 and erasure_id = $2
      order by container_name, blob_name limit $3`,
    [of.tenant_id, of.erasure_id, EXAMPLES_MAX],
  );
  const [sum] = await core.query<{ remaining: number; last_may_go_at: string | null }>(
    `select count(*) as remaining, max(may_go_at) as last_may_go_at from ops.erasure_blobs
      where tenant_id = $1 and erasure_id = $2`,
    [of.tenant_id, of.erasure_id],
  );
  return { remaining: sum?.remaining ?? 0, last_may_go_at: sum?.last_may_go_at ?? null, examples };
}
