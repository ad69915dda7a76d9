import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The three databases, in the order in which they are migrated. */
export const DATABASES = ['core', 'billing', 'analytics'] as const;

/** One of the three databases. */
export type DatabaseName = (typeof DATABASES)[number];

/** One value for each database. */
export type PerDatabase<T> = Record<DatabaseName, T>;

const MIGRATIONS = fileURLToPath(new URL('../../migrations/', import.meta.url));

/** The role that owns every object. */
export const OWNER_ROLE = 'comply_owner';

/** The roles of the app, which may connect to each database. */
const APP_ROLES = ['comply_app', 'comply_jobs'] as const;

/** The role that a team signs in as. It may connect to its own database only. */
export function nameTeamRole(database: DatabaseName): string {
  return `comply_readonly_${database}`;
}

/**
 * The roles that may connect to a database, besides the owner. `label` is one of {@link DATABASES}; another label has no
 * team.
 */
export function listConnectingRoles(label: string): readonly string[] {
  const team = DATABASES.find((database) => database === label);
  return team === undefined ? APP_ROLES : [...APP_ROLES, nameTeamRole(team)];
}

/** The folder of a database's migrations. */
export function findMigrationsFolder(database: DatabaseName): string {
  return path.join(MIGRATIONS, database);
}

/** The file that makes the roles. */
export function findRolesFile(): string {
  return path.join(MIGRATIONS, 'roles.sql');
}

/** The committed snapshot of a database's schema. */
export function findSnapshotFile(database: DatabaseName): string {
  return path.join(MIGRATIONS, 'snapshots', `${database}.txt`);
}

/** The database's name. It is the same in Azure and on the local stack. */
export function nameDatabase(database: DatabaseName): string {
  return `comply-ai-${database}`;
}

/** Makes a value for each database, one after the other. */
export async function forEachDatabase<T>(
  make: (database: DatabaseName) => Promise<T>,
): Promise<PerDatabase<T>> {
  const core = await make('core');
  const billing = await make('billing');
  const analytics = await make('analytics');
  return { core, billing, analytics };
}
