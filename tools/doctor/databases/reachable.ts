import type { DatabaseName } from '../../migrate/databases.ts';
import { ok, warning, type Check, type Finding } from '../check.ts';
import type { Patient, Role } from '../patient.ts';
import { connectFault } from './connect-fault.ts';

/** A request needs several statements: with more than this each, it takes most of a second. */
const SLOW_MS = 100;
const ROUND_TRIPS = 3;

async function reach(patient: Patient, database: DatabaseName, role: Role): Promise<Finding> {
  const name = `${database.toUpperCase()}${role === 'app' ? '' : '_CROSS_TENANT'}_DATABASE_URL`;
  const url = patient.urlOf(database, role);
  try {
    const { best, host } = await patient.ask(database, role, async (client) => {
      const times: number[] = [];
      for (let n = 0; n < ROUND_TRIPS; n += 1) {
        const start = performance.now();
        await client.query('select 1');
        times.push(performance.now() - start);
      }
      return { best: Math.min(...times), host: client.host };
    });
    const user = decodeURIComponent(new URL(url).username);
    const text = `${host} answers ${user} in ${best.toFixed(1)} ms`;
    return best > SLOW_MS && !patient.isLocal
      ? warning(text, 'run the app in the region of its databases')
      : ok(text);
  } catch (error) {
    return connectFault(patient, name, url, error);
  }
}

/** Whether both roles of the app can sign in to a database, and how long a statement takes. */
export const reachable = (database: DatabaseName): Check => ({
  name: `${database}-reachable`,
  group: 'databases',
  looksAt: `whether requests and timers can sign in to the ${database} database, and how fast it answers`,
  async run(patient) {
    // Both settings are looked for, and each one's database is asked, also when the other one is broken.
    const outcomes = await Promise.allSettled(
      (['app', 'crossTenant'] as const).map((role) => reach(patient, database, role)),
    );
    const found = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const missing = outcomes.find((outcome) => outcome.status === 'rejected');
    if (missing !== undefined && found.length === 0) throw missing.reason;
    // A server that is away is away for both.
    return found.filter((finding, n) => found.findIndex((other) => other.detail === finding.detail) === n);
  },
});
