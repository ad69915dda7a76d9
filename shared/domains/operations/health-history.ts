import { z } from 'zod';
import type { Call } from '../../platform/call/call.ts';
import type { Reply } from '../../platform/call/reply.ts';
import { readPlatformKeyset, when } from '../../platform/db/keyset.ts';
import { freeForm, instant } from '../../platform/http/fields.ts';
import { cursorScope, pageQuery, pageReply, readPage, type Page } from '../../platform/http/pagination.ts';
import { uuid } from '../../platform/ids/uuid.ts';
import { HEALTH_STATUSES } from './health-probe.ts';
import { OWN_SERVICE } from './health.ts';

const service = z.enum([
  OWN_SERVICE,
  'core',
  'billing',
  'analytics',
  'redis',
  'service_bus',
  'blob',
  'key_vault',
]);

/** One check of a service. */
export const systemHealthCheck = z.object({
  id: uuid,
  service_name: service,
  check_type: z.enum(['ping', 'readiness']),
  status: z.enum(HEALTH_STATUSES),
  score: z.number(),
  latency_ms: z.number().nullable().describe('Null if it did not answer.'),
  details: freeForm,
  checked_at: z.string().describe('The minute of the check.'),
  status_since: z.string(),
});
type SystemHealthCheck = z.output<typeof systemHealthCheck>;

/** `GET /platform/health/history`. */
export const healthHistoryQuery = z.object({
  ...pageQuery,
  sort: z.enum(['checked_at', '-checked_at']).default('-checked_at').describe('`-` is newest first.'),
  service: service.optional(),
  status: z.enum(HEALTH_STATUSES).optional(),
  from: instant.optional().describe('Checks from this instant on.'),
  to: instant.optional().describe('Checks before this instant.'),
});

/** A page of the checks of the service and its dependencies. For operators. */
export async function listHealthHistory(
  call: Call,
  query: z.output<typeof healthHistoryQuery>,
  url: string,
): Promise<Reply<200, Page<SystemHealthCheck>>> {
  const scope = cursorScope(call, query);
  const list = {
    table: 'system_health',
    columns: 'id, service_name, check_type, status, score, latency_ms, details, checked_at, status_since',
    timeColumn: 'checked_at',
    idColumn: 'id',
    idType: 'uuid',
    conditions: [
      ...when('service_name = ?', query.service),
      ...when('status = ?', query.status),
      ...when('checked_at >= ?', query.from),
      ...when('checked_at < ?', query.to),
    ],
  } as const;
  return pageReply(scope, url, readPage(scope, query), {
    read: (step) => readPlatformKeyset<SystemHealthCheck>(call.services.crossTenant.analytics, list, step),
    positionOf: (row) => ({ at: row.checked_at, id: row.id }),
  });
}
