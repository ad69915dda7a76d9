import type { Client } from 'pg';
import type { MigrationFile } from './migration-files.ts';

/** A migration that the database says it has. */
export interface AppliedMigration {
  name: string;
  /** Undefined when the migrator did not write one, which only tampering can cause. */
  sha256: string | undefined;
}

/** A database and a folder of migrations that do not fit together. */
export class MigrationRefusedError extends Error {
  override name = 'MigrationRefusedError';
}

/** Reads what the database has, in the order in which it was applied; nothing when it was never migrated. */
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
 * The migrations still to be applied. Throws MigrationRefusedError when the database has one that this build does
 * not know (an older build on a newer schema), one that was edited after it was applied, or a later one without an
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
