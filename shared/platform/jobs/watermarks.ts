import type { z } from 'zod';
import { json, type CrossTenantDatabase } from '../db/tenant-database.ts';
import { log } from '../log/log.ts';

/** A job's position; undefined if it has none, or if this build does not know its shape. */
export async function readPosition<T>(
  database: CrossTenantDatabase,
  job: string,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  const [row] = await database.query<{ position: unknown }>(
    'select position from ops.watermarks where job = $1',
    [job],
  );
  if (row === undefined) return undefined;
  const parsed = schema.safeParse(row.position);
  if (parsed.success) return parsed.data;
  log.warn('watermark-unknown', { job });
  return undefined;
}

/** Saves a job's position. */
export async function writePosition(
  database: CrossTenantDatabase,
  job: string,
  value: unknown,
): Promise<void> {
  await database.query(
    `insert into ops.watermarks (job, position) values ($1, $2)
     on conflict (job) do update set position = excluded.position, updated_at = now()`,
    [job, json(value)],
  );
}
