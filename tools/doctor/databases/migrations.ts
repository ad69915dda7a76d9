import { findMigrationsFolder, type DatabaseName } from '../../migrate/databases.ts';
import { readMigrationFolder } from '../../migrate/migration-files.ts';
import { findPendingMigrations, readAppliedMigrations } from '../../migrate/migration-state.ts';
import { count, names, ok, problem, type Check } from '../check.ts';
import { NotChecked } from '../not-checked.ts';
import { connectFault, isAway } from './connect-fault.ts';

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
    try {
      const pending = findPendingMigrations(database, files, applied).map(({ name }) => name);
      return pending.length === 0
        ? ok(`${count(applied.length, 'migration')}, none is missing or changed`)
        : problem(`${count(pending.length, 'migration')} not applied: ${names(pending)}`, 'npm run migrate');
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'MigrationRefusedError') throw error;
      const isNewer = error.message.includes('does not know');
      return problem(
        error.message,
        isNewer
          ? 'deploy the build of that migration, or a newer one; this build must not run on that schema'
          : `restore the file: git log -- migrations/${database}; write a new migration for what it should change`,
      );
    }
  },
});
