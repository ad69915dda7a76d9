import { z } from 'zod';
import { json, type CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import { TRAIL } from './consume-audit.ts';
import { hashEntry, type AuditFacts } from './entry-hash.ts';

/** Where a walk over a trail is: an entry's time and id. */
export const trailPlace = z.tuple([z.string(), z.string()]);
export type TrailPlace = z.output<typeof trailPlace>;

/** Before every entry. */
export const TRAIL_START: TrailPlace = ['-infinity', '00000000-0000-0000-0000-000000000000'];

/** The table, as an erasure's place. */
export const TRAIL_PLACE = TRAIL.table;

interface EntryRow {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly created_at: string;
  readonly canonical: string;
}

/** What an erasure may change of an entry. Its address and agent go too, unless another person acted. */
export type Pseudonymised = Pick<AuditFacts, 'actor' | 'user_id' | 'resource_id' | 'details'> & {
  readonly keepsOrigin?: boolean;
};

/**
 * Rewrites the next entries of a tenant's trail for an erasure: `change` gives what stands in the place of its persons, or nothing
 * where no person is concerned. Everything else stays, and the hash covers the new bytes: a hash of the old ones would tell who guesses
 * right. Returns the last entry's place; undefined at the end.
 * @throws 42501 unless the erasure is at this step.
 */
export async function pseudonymiseEntries(
  transaction: CrossTenantTransaction,
  of: { readonly tenantId: string; readonly erasureId: string },
  { after, limit }: { readonly after: TrailPlace; readonly limit: number },
  change: (facts: AuditFacts) => Pseudonymised | undefined,
): Promise<TrailPlace | undefined> {
  const rows = await transaction.query<EntryRow>(
    `select id, created_at, convert_from(canonical, 'UTF8') as canonical from audit_logs
      where tenant_id = $1 and (created_at, id) > ($2::timestamptz, $3::uuid) order by created_at, id limit $4`,
    [of.tenantId, ...after, limit],
    { prepare: false },
  );
  const entries = rows.flatMap((row) => {
    // The bytes that the hash covers are what was written here first.
    const facts = JSON.parse(row.canonical) as AuditFacts;
    const changed = change(facts);
    if (changed === undefined) return [];
    const { keepsOrigin = false, ...persons } = changed;
    const { canonical } = hashEntry({
      ...facts,
      ...persons,
      ...(keepsOrigin ? {} : { ip_address: null, user_agent: null }),
    });
    return [{ id: row.id, created_at: row.created_at, ...persons, canonical, keeps_origin: keepsOrigin }];
  });
  if (entries.length > 0)
    await transaction.query(
      `select ops.pseudonymise_entries($1, $2, $3)`,
      [of.tenantId, of.erasureId, json(entries)],
      { prepare: false },
    );
  const last = rows.at(-1);
  return last === undefined ? undefined : [last.created_at, last.id];
}
