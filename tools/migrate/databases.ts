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

/** The roles that may connect, besides the owner. */
export const CONNECTING_ROLES = ['comply_app', 'comply_jobs', 'comply_readonly'] as const;

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
