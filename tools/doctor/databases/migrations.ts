import { findMigrationsFolder, type DatabaseName } from '../../migrate/databases.ts';
import { readMigrationFolder, type MigrationFile } from '../../migrate/migration-files.ts';
import {
  findPendingMigrations,
  MigrationRefusedError,
  readAppliedMigrations,
  selectPending,
  type AppliedMigration,
} from '../../migrate/migration-state.ts';
import { count, names, ok, problem, warning, type Check, type Finding } from '../check.ts';
import { NotChecked } from '../not-checked.ts';
import { connectFault, isAway } from './connect-fault.ts';

/** What the list of a database says of a build with these files. */
export function judgeMigrations(
  database: DatabaseName,
  files: MigrationFile[],
  applied: AppliedMigration[],
): Finding {
  let pending;
  try {
    pending = findPendingMigrations(database, files, applied);
  } catch (error) {
    if (!(error instanceof MigrationRefusedError)) throw error;
    const isChanged = /was changed after|would have to run before/.test(error.message);
    return problem(
      error.message,
      isChanged
        ? `restore the file: git log -- migrations/${database}; write a new migration for what it should change`
        : 'deploy the build of that migration, or a newer one; this build must not run on that schema',
    );
  }
  const { files: needed, refusal } = selectPending(database, pending, false, undefined);
  if (needed.length > 0)
    return problem(
      `${count(needed.length, 'migration')} not applied: ${names(needed.map(({ name }) => name))}`,
      'npm run migrate',
    );
  if (refusal !== undefined)
    return problem(refusal, 'see docs/runbooks/upgrade.md: releases are not skipped');
  if (pending.length > 0)
    return warning(
      `${names(pending.map(({ name }) => name))}: left until no older build runs`,
      'after the rollout: npm run migrate -- --contract, see docs/runbooks/upgrade.md',
    );
  const newer = applied.length - files.length;
  return ok(
    newer > 0
      ? `${count(files.length, 'migration')}, and ${newer} of a newer build with which this one works`
      : `${count(files.length, 'migration')}, none is missing or changed`,
  );
}

/** The list of migrations in the database against the files of this build. Only the owner may read that list. */
export const migrations = (database: DatabaseName): Check => ({
  name: `${database}-migrations`,
  group: 'databases',
  looksAt: `which migrations the ${database} database has, against the files of this build`,
  async run(patient) {
    const setting = `MIGRATE_${database.toUpperCase()}_URL`;
    const url = patient.urlOf(database, 'owner');
    const files = readMigrationFolder(findMigrationsFolder(database));
    let applied;
    try {
      applied = await patient.ask(database, 'owner', readAppliedMigrations);
    } catch (error) {
      if (isAway(error))
        throw new NotChecked(`${new URL(url).host} does not answer, see ${database}-reachable`);
      return connectFault(patient, setting, url, error);
    }
    return judgeMigrations(database, files, applied);
  },
});
