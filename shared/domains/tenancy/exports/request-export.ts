import type { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { created, ok, type Reply } from '../../../platform/call/reply.ts';
import { when } from '../../../platform/db/keyset.ts';
import { listReply } from '../../../platform/http/list-reply.ts';
import type { Page } from '../../../platform/http/pagination.ts';
import { newId } from '../../../platform/ids/ids.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';
import { auditEvent, emitEvents } from '../../../platform/writes/caused-events.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { MANIFEST } from './manifest.ts';
import {
  tenantExport,
  type TenantExport,
  type tenantExportsQuery,
  type TenantExportWithLink,
} from './schemas.ts';

/** Long enough to begin the download of every file. For more, the export is asked for again. */
const LINK_VALID_MS = 15 * MINUTE_MS;

const COLUMNS = Object.keys(tenantExport.shape).join(', ');

/**
 * Asks for an export of everything that the tenant has. The job `tenant-exports` makes it.
 * @throws Problem 409 while another one is being made.
 */
export function requestExport(call: Call): Promise<Reply<201, TenantExport>> {
  const exportId = newId(call.now);
  return performWrite<Reply<201, TenantExport>>(
    call,
    async (transaction) => {
      const [row] = await transaction.query<TenantExport>(
        `insert into ops.tenant_exports (tenant_id, export_id, requested_by, created_at, worked_at) values ($1, $2, $3, $4, $4)
         on conflict (tenant_id) where status in ('waiting', 'running') do nothing returning ${COLUMNS}`,
        [call.tenant.tenantId, exportId, call.principal.actor, call.now],
      );
      if (row === undefined)
        throw new Problem('CONFLICT', {
          detail: 'An export is being made already: GET /api/v1/tenant/exports.',
        });
      return {
        reply: created(`/api/v1/tenant/exports/${exportId}`, row),
        audit: { action: 'tenant_export.requested', resource_type: 'tenant_export', resource_id: exportId },
      };
    },
    { beyondQuota: true },
  );
}

/** A page of the tenant's exports. */
export function listExports(
  call: Call,
  query: z.output<typeof tenantExportsQuery>,
  url: string,
): Promise<Reply<200, Page<TenantExport>>> {
  return listReply(call, query, url, {
    table: 'ops.tenant_exports',
    columns: COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'export_id',
    idType: 'uuid',
    conditions: [...when('status = ?', query.status)],
  });
}

/**
 * One export. While its files are there, the answer has a link to them. That the link was made is in the audit trail before it is given.
 * @throws Problem 404.
 */
export async function readExport(call: Call, exportId: string): Promise<Reply<200, TenantExportWithLink>> {
  const [row] = await call.tenant.statement<TenantExport>(
    `select r.* from scope, lateral (select ${COLUMNS} from ops.tenant_exports e
       where e.tenant_id = scope.tenant_id and e.export_id = $2 offset 0) r`,
    [exportId],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such export.' });
  if (row.status !== 'completed' || row.delete_after === null) return ok({ ...row, link: null });
  const lastMs = Math.min(call.now.getTime() + LINK_VALID_MS, Date.parse(row.delete_after));
  if (lastMs <= call.now.getTime()) return ok({ ...row, link: null });
  const expiresAt = new Date(lastMs);
  const link = await call.services.exports.link(exportId, call.now, expiresAt);
  await emitEvents(call, [
    auditEvent(call, {
      action: 'tenant_export.link_made',
      resource_type: 'tenant_export',
      resource_id: exportId,
      details: { expires_at: expiresAt.toISOString() },
    }),
  ]);
  return ok({
    ...row,
    link: {
      url: link.url,
      manifest_url: link.fileUrl(MANIFEST),
      expires_at: expiresAt.toISOString(),
    },
  });
}
