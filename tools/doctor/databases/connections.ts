import { QUEUES } from '../../../shared/platform/bus/queues.ts';
import { timers } from '../../../functions/timers.ts';
import { DATABASES, type DatabaseName } from '../../migrate/databases.ts';
import { count, ok, problem, warning, type Check } from '../check.ts';
import type { Patient } from '../patient.ts';

/** The connections of a process outside its pools: the health monitor, and the lock of a job that runs. */
const OTHERS = 2;
/**
 * In Azure, routes scale together, and each queue and each timer on instances of its own. So at least so many processes can be at
 * work at once.
 */
const SCALE_GROUPS = 1 + QUEUES.length + timers.length;

interface Limits {
  readonly most: number;
  readonly reserved: number;
  readonly used: number;
}

/** How many of the three databases are on the server of one. */
function databasesOnServer(patient: Patient, database: DatabaseName): number {
  const host = new URL(patient.urlOf(database, 'crossTenant')).host;
  return DATABASES.filter((other) => {
    const name = `${other.toUpperCase() as Uppercase<DatabaseName>}_CROSS_TENANT_DATABASE_URL` as const;
    const url = patient.setting(name);
    return url !== undefined && new URL(url).host === host;
  }).length;
}

/** Whether the server has enough connections for all instances. */
export const connections = (database: DatabaseName): Check => ({
  name: `${database}-connections`,
  group: 'databases',
  looksAt: `whether the ${database} database's server has connections for all instances of the app`,
  async run(patient) {
    const pools = patient.need('DATABASE_POOL_MAX') + patient.need('DATABASE_CROSS_TENANT_POOL_MAX');
    const limits = await patient.askReachable(database, 'crossTenant', async (client) => {
      const { rows } = await client.query<Limits>(
        `select current_setting('max_connections')::int as most,
                current_setting('superuser_reserved_connections')::int
                  + coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
                (select sum(numbackends)::int from pg_stat_database) as used`,
      );
      return rows[0] ?? { most: 0, reserved: 0, used: 0 };
    });
    const free = limits.most - limits.reserved;
    const perProcess = pools * databasesOnServer(patient, database) + OTHERS;
    const fit = Math.floor(free / perProcess);
    const text = `max_connections ${limits.most}, ${limits.used} in use: ${count(fit, 'instance')} of ${perProcess} fit`;
    const remedy = `raise max_connections, lower DATABASE_POOL_MAX and DATABASE_CROSS_TENANT_POOL_MAX, or limit the instances`;
    if (patient.instances !== undefined)
      return fit < patient.instances
        ? problem(`${text}, but there can be ${patient.instances}`, remedy)
        : ok(`${text}, of at most ${patient.instances}`);
    if (fit < 1) return problem(text, remedy);
    if (patient.isLocal || fit >= SCALE_GROUPS) return ok(text);
    return warning(
      `${text}; routes, ${QUEUES.length} queues and ${timers.length} timers scale apart, so ${SCALE_GROUPS} can run at once`,
      `${remedy}; with --instances N this is judged by your own limit`,
    );
  },
});
