import { z } from 'zod';
import { freeForm, instant } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/** `{job}` in a path. */
export const jobParams = z.object({ job: z.string().min(1).max(100) });

/** One run of a job. */
export const jobRun = z.object({
  run_id: uuid,
  job: z.string(),
  as_of: z.string().describe('The instant that the run took as the present.'),
  started_at: z.string(),
  finished_at: z.string().nullable(),
  status: z.enum(['running', 'completed', 'partial', 'failed', 'skipped']),
  cutoff: z.string().nullable(),
  examined: z.number(),
  deleted: z.number(),
  kept_on_hold: z.number(),
  not_archived: z.number(),
  bytes: z.number(),
  details: freeForm,
  error: z.string().nullable().describe('The error’s name and code.'),
  triggered_by: z.string(),
});

/** `GET /platform/jobs`. */
export const jobsList = z.object({
  items: z.array(
    z.object({
      job: z.string(),
      schedule: z.string().describe('NCRONTAB with seconds, in UTC.'),
      running: z.boolean(),
      last_run: jobRun.nullable().describe('The last run that was not skipped.'),
    }),
  ),
});

export type JobsList = z.output<typeof jobsList>;

/** `GET /platform/jobs/{job}/runs`. */
export const jobRunsQuery = z.object(pageQuery);

/** `POST /platform/jobs/{job}/runs`. */
export const newJobRun = z.strictObject({
  as_of: instant
    .optional()
    .describe('Take this instant as the present: in the past or, in a local environment, in the future.'),
});
