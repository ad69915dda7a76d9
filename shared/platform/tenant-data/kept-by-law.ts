import type { Settings } from '../config/settings.ts';

/** The law does not want what was made before this any more, of a tenant that is erased. */
export function keptByLawSince(
  { INVOICE_RETENTION_YEARS: years }: Pick<Settings, 'INVOICE_RETENTION_YEARS'>,
  now: Date,
): Date {
  const since = new Date(now);
  since.setUTCFullYear(since.getUTCFullYear() - years);
  return since;
}
