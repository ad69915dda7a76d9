import type { DatabaseName } from '../../migrate/databases.ts';
import { notChecked, ok, warning, type Check } from '../check.ts';

/** Whether somebody who looks for a slow statement can find it. */
export const statementStatistics = (database: DatabaseName): Check => ({
  name: `${database}-statements`,
  group: 'databases',
  looksAt: `whether pg_stat_statements counts the ${database} database's statements`,
  async run(patient) {
    const has = await patient.askReachable(database, 'crossTenant', async (client) => {
      const { rowCount } = await client.query(
        `select from pg_extension where extname = 'pg_stat_statements'`,
      );
      return rowCount === 1;
    });
    if (has) return ok('pg_stat_statements is installed');
    if (patient.isLocal) return notChecked('a local server has no pg_stat_statements');
    return warning(
      'pg_stat_statements is not installed: a slow statement cannot be found',
      'allow it (azure.extensions, shared_preload_libraries), then: create extension pg_stat_statements',
    );
  },
});
