import type { CrossTenantDatabase } from '../db/tenant-database.ts';

/** A process writes a version's use at most this often: it answers "is it in use", not "when exactly". */
const GRAIN_MS = 3_600_000;

/** Returns a function that writes down that a version was used just now. It is not awaited: nothing depends on it. */
export function noteUse(database: CrossTenantDatabase): (version: string) => void {
  const noted = new Map<string, number>();
  return (version) => {
    const last = noted.get(version);
    if (last !== undefined && performance.now() - last < GRAIN_MS) return;
    noted.set(version, performance.now());
    database
      .query(
        `insert into ops.key_versions as v (version, last_used_at) values ($1, now())
         on conflict (version) do update set last_used_at = greatest(v.last_used_at, excluded.last_used_at)`,
        [version],
      )
      .catch(() => noted.delete(version));
  };
}

/** When each version was last used, to the hour. A version that never was has no entry. */
export async function lastUses(database: CrossTenantDatabase): Promise<ReadonlyMap<string, string>> {
  const rows = await database.query<{ version: string; last_used_at: string }>(
    `select version, last_used_at from ops.key_versions`,
  );
  return new Map(rows.map(({ version, last_used_at: at }) => [version, at]));
}
