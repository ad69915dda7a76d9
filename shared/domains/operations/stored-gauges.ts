import { z } from 'zod';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { readPosition } from '../../platform/jobs/watermarks.ts';
import { INSTRUMENTS, type Instrument, type NameOf } from '../../platform/telemetry/instruments.ts';
import type { Measured } from '../../platform/telemetry/metrics.ts';
import { MINUTE_MS } from '../../platform/time/clock.ts';

/** The job that measures the gauges for the whole app. */
export const GAUGES_JOB = 'telemetry-gauges';

/** Older values say nothing about now. */
const TOLD_MS = 5 * MINUTE_MS;

const NAMES = Object.entries(INSTRUMENTS).flatMap(([name, instrument]: [string, Instrument]) =>
  instrument.measuredByJob === true ? [name as NameOf<'gauge'>] : [],
);

const stored = z.object({
  measured_at: z.iso.datetime(),
  values: z.array(
    z.object({ name: z.enum(NAMES), attributes: z.record(z.string(), z.string()), value: z.number() }),
  ),
});

/** What the job measured last, in whatever process it ran. Empty if that is some minutes ago. */
export async function storedGauges(core: CrossTenantDatabase, now: Date): Promise<readonly Measured[]> {
  const found = await readPosition(core, GAUGES_JOB, stored);
  if (found === undefined || now.getTime() - Date.parse(found.measured_at) > TOLD_MS) return [];
  return found.values;
}
