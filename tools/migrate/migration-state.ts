import type { Client } from 'pg';
import { VERSION } from '../../shared/platform/config/version.ts';
import type { MigrationFile } from './migration-files.ts';
import { compareReleases } from './releases.ts';

/** A migration in the database's own list. */
export interface AppliedMigration {
  name: string;
  /** The migrator always writes one. Undefined when somebody changed the list by hand. */
  sha256: string | undefined;
  /** As labelled in its file. Null before the first release. */
  phase: string | null;
  /** Of a contract migration: the first release that does not need what it removed. */
  afterRelease: string | null;
}

/** A database and a folder of migrations that do not match, or a migration that may not run yet. */
export class MigrationRefusedError extends Error {
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
  // to_jsonb: a table that an older migrator made does not have the columns of the labels.
  const applied = await client.query<Omit<AppliedMigration, 'sha256'> & { sha256: string | null }>(
    `select m.name, c.sha256, to_jsonb(c)->>'phase' as phase, to_jsonb(c)->>'after_release' as "afterRelease"
     from ops.migrations m left join ops.migration_checksums c on c.name = m.name order by m.id`,
  );
  return applied.rows.map((row) => ({ ...row, sha256: row.sha256 ?? undefined }));
}

/** Throws when this build cannot work with a migration of a newer build. */
function checkNewer(
  database: string,
  { name, phase, afterRelease }: AppliedMigration,
  release: string,
): void {
  if (phase === 'expand' || phase === 'migrate') return;
  if (phase !== 'contract' || afterRelease === null)
    throw new MigrationRefusedError(
      `${database}: the database has ${name}, which this build does not know: it is older than the schema`,
    );
  if (compareReleases(afterRelease, release) > 0)
    throw new MigrationRefusedError(
      `${database}: ${name} has removed what releases before ${afterRelease} need, and this build is ${release}`,
    );
}

/**
 * The pending migrations. Throws MigrationRefusedError in three cases: the database has migrations that this build does not
 * know and cannot work with; a file was edited after it was applied; a later migration was applied without an earlier one.
 * A newer build's `expand` and `migrate` leave everything that this build (of the release `release`) needs, and so does a
 * `contract` of something that this release does not need. With those, nothing is pending: so a rollout can be undone.
 */
export function findPendingMigrations(
  database: string,
  files: MigrationFile[],
  applied: AppliedMigration[],
  release = VERSION,
): MigrationFile[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  for (const [index, { name, sha256 }] of applied.slice(0, files.length).entries()) {
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
  for (const newer of applied.slice(files.length)) checkNewer(database, newer, release);
  return files.slice(applied.length);
}

/** The pending migrations that may run now, and why the next one may not. */
export interface Selection {
  readonly files: MigrationFile[];
  readonly refusal: string | undefined;
}

/**
 * Selects the pending migrations that may run now: without `contract` those before the first contract migration, with it also
 * each that the oldest running build does not need any more. Files are applied in order, so others behind one that may not run
 * wait too; then `refusal` is set.
 */
export function selectPending(
  database: string,
  pending: MigrationFile[],
  contract: boolean,
  oldestBuild: string | undefined,
): Selection {
  const isHeld = ({ phase, afterRelease }: MigrationFile): boolean =>
    phase === 'contract' &&
    (!contract || (oldestBuild !== undefined && compareReleases(oldestBuild, afterRelease ?? '') < 0));
  const [held] = pending.filter(isHeld);
  if (held === undefined) return { files: pending, refusal: undefined };
  const files = pending.slice(0, pending.indexOf(held));
  const behind = pending.slice(files.length).find(({ phase }) => phase !== 'contract');
  const what = `${database}: ${held.name} (contract, after release ${held.afterRelease})`;
  if (contract)
    return {
      files,
      refusal: `${what} was not applied: an instance of an older build is connected (${oldestBuild})`,
    };
  return {
    files,
    refusal:
      behind === undefined
        ? undefined
        : `${what} comes before ${behind.name}: run \`npm run migrate -- --contract\` when every instance runs release ${held.afterRelease} or later`,
  };
}
