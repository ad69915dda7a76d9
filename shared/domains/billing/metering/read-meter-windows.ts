import type { z } from 'zod';
import { readPlatformKeyset } from '../../../platform/db/keyset.ts';
import type { Call } from '../../../platform/call/call.ts';
import type { Reply } from '../../../platform/call/reply.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../../platform/http/pagination.ts';
import type { MeterWindow, meterWindowsQuery } from './meter-window-schemas.ts';

/** A page of what was reported to Stripe, of all tenants. For operators. */
export async function listMeterWindows(
  call: Call,
  query: z.output<typeof meterWindowsQuery>,
  url: string,
): Promise<Reply<200, Page<MeterWindow>>> {
  const scope = cursorScope(call, query);
  const list = {
    table: 'ops.meter_windows',
    columns: `window_id, tenant_id, usage_type, period_start, period_end, amount::text, status, event_name, reported_at, sent_at,
      attempts, error, created_at`,
    timeColumn: 'created_at',
    idColumn: 'window_id',
    idType: 'uuid',
    conditions: [],
    // In the text, not as a value: the plan then knows the index of the failed ones.
    ...(query.status === undefined ? {} : { where: `status = '${query.status}'` }),
  } as const;
  return pageReply(scope, url, readPage(scope, query), {
    read: (step) => readPlatformKeyset<MeterWindow>(call.services.crossTenant.billing, list, step),
    positionOf: (row) => ({ at: row.created_at, id: row.window_id }),
  });
}
