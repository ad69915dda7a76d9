import type { Client } from 'pg';
import { compareReleases, isRelease } from './releases.ts';

/** Stands for the builds before the first release that names itself in its connections. */
const UNNAMED = '0.0.0';

/** The older one of two releases; undefined when there is none. */
export function olderOf(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareReleases(a, b) <= 0 ? a : b;
}

/**
 * The oldest build that is connected to this database; undefined without any. The app's connections are named
 * `comply-ai:core@1.2.3`. An instance keeps a connection while it runs. One that was stopped, and could be started again, is
 * not seen.
 */
export async function readOldestBuild(client: Client): Promise<string | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct application_name as name from pg_stat_activity
      where datname = current_database() and application_name like 'comply-ai:%'`,
  );
  return rows
    .map(({ name }) => name.slice(name.lastIndexOf('@') + 1))
    .map((release) => (isRelease(release) ? release : UNNAMED))
    .reduce<string | undefined>(olderOf, undefined);
}
