import { findPartitionsAhead } from '../../../shared/domains/operations/make-partitions.ts';
import { DAY_MS } from '../../../shared/platform/time/clock.ts';
import { ok, problem, warning, type Check } from '../check.ts';

/** The job makes partitions once a day, so it may be this much behind. */
const BEHIND_DAYS = 2;

/** Whether there are partitions for the coming days and months. */
export const partitions: Check = {
  name: 'partitions',
  group: 'databases',
  looksAt: 'how far ahead there are partitions',
  async run(patient) {
    const [core, billing] = [await patient.crossTenant('core'), await patient.crossTenant('billing')];
    const now = patient.clock.now();
    const tables = await findPartitionsAhead(
      { core, billing },
      new Date(now.getTime() - BEHIND_DAYS * DAY_MS),
    );
    const today = now.toISOString().slice(0, 10);
    const remedy = 'POST /api/v1/platform/jobs/partitions-make/runs as an operator';
    return tables.map(({ table, end, wanted }) => {
      if (end === undefined || end <= today)
        return problem(`${table} has no partition for today: the first write has to make it`, remedy);
      const text = `${table}: until ${end}`;
      return end <= wanted ? warning(`${text}, and should reach ${wanted}`, remedy) : ok(text);
    });
  },
};
