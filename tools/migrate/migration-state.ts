import type { Client } from 'pg';
import type { MigrationFile } from './migration-files.ts';

/** A migration in the database's own list. */
export interface AppliedMigration {
  name: string;
  /** The migrator always writes one. Undefined when somebody changed the list by hand. */
  sha256: string | undefined;
}

/** A database and a folder of migrations that do not match. */
class MigrationRefusedError extends Error {
  override name = 'MigrationRefusedError';
}

/** Reads the database's migrations in the order in which they were applied; empty when it was never migrated. */
export async function readAppliedMigrations(client: Client): Promise<AppliedMigration[]> {
  const known = await client.query<{ known: boolean }>(
    `select to_regclass('ops.migrations') is not null as known`,
  );
  if (known.rows[0]?.known !== true) {
    return [];
  }
  const applied = await client.query<{ name: string; sha256: string | null }>(
    `select m.name, c.sha256 from ops.migrations m
     left join ops.migration_checksums c on c.name = m.name order by m.id`,
  );
  return applied.rows.map((row) => ({ name: row.name, sha256: row.sha256 ?? undefined }));
}

/**
 * The pending migrations. Throws MigrationRefusedError in three cases: the database has a migration that this build does not
 * know (an older build on a newer schema); a file was edited after it was applied; a later migration was applied without an
 * earlier one.
 */
export function findPendingMigrations(
  database: string,
  files: MigrationFile[],
  applied: AppliedMigration[],
): MigrationFile[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  for (const [index, { name, sha256 }] of applied.entries()) {
    const file = byName.get(name);
    if (file === undefined) {
      throw new MigrationRefusedError(
        `${database}: the database has ${name}, which this build does not know: it is older than the schema`,
      );
    }
    if (file.sha256 !== sha256) {
      throw new MigrationRefusedError(
        `${database}: ${name} was changed after it was applied; write a new migration instead`,
      );
    }
    if (files[index]?.name !== name) {
      throw new MigrationRefusedError(
        `${database}: ${files[index]?.name ?? '?'} would have to run before ${name}`,
      );
    }
  }
  return files.slice(applied.length);
}
