import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { etagOf } from '../../../platform/http/etag.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { EndpointView } from '../schemas.ts';

/** The type of endpoints in the audit trail. */
export const ENDPOINT_AUDIT_TYPE = 'webhook_endpoint';

/** What an endpoint's row shows. Never the secrets. */
export const ENDPOINT_COLUMNS = `endpoint_id, url, event_types, description, is_active, managed_by, disabled_reason, disabled_at,
  failing_since, last_success_at, old_secret_expires_at, created_by, created_at, updated_at, version as row_version`;

export type EndpointRow = Omit<EndpointView, 'etag'> & {
  readonly [column: string]: unknown;
  readonly row_version: number;
};

/** A row as clients see it. An overlap that is over is no longer told. */
export function presentEndpoint({ row_version: version, ...row }: EndpointRow, now: Date): EndpointView {
  const end = row.old_secret_expires_at;
  return {
    ...row,
    old_secret_expires_at: end === null || Date.parse(end) <= now.getTime() ? null : end,
    etag: etagOf(version),
  };
}

export function noSuchEndpoint(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such webhook endpoint.' });
}

/** @throws Problem 404. */
export async function lockEndpoint(
  call: Call,
  transaction: TenantTransaction,
  endpointId: string,
): Promise<EndpointRow> {
  const [row] = await transaction.query<EndpointRow>(
    `select ${ENDPOINT_COLUMNS} from ops.webhook_endpoints where tenant_id = $1 and endpoint_id = $2 for update`,
    [call.tenant.tenantId, endpointId],
  );
  if (row === undefined) throw noSuchEndpoint();
  return row;
}
