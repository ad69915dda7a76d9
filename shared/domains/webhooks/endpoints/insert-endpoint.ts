import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { json, type TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { newId } from '../../../platform/ids/ids.ts';
import type { NewEndpoint } from '../schemas.ts';
import { ENDPOINT_COLUMNS, type EndpointRow } from './endpoint-row.ts';
import { newSecret } from './secret.ts';

/** More would only send the same facts to more places: each fact costs a row and a request for each. */
const ENDPOINTS_MAX = 20;

/**
 * Inserts an endpoint with a new secret.
 * @throws Problem 409 if the tenant has as many as it may have.
 */
export async function insertEndpoint(
  call: Call,
  transaction: TenantTransaction,
  body: NewEndpoint,
  managedBy: 'tenant_config' | null,
): Promise<{ readonly row: EndpointRow; readonly secret: string }> {
  const { tenantId } = call.tenant;
  // One at a time, so that two at once do not both take the last place.
  await transaction.query(`select pg_advisory_xact_lock(hashtextextended($1, 0))`, [
    `webhook-endpoints:${tenantId}`,
  ]);
  const [found] = await transaction.query<{ n: number }>(
    `select count(*)::int as n from ops.webhook_endpoints where tenant_id = $1`,
    [tenantId],
  );
  if ((found?.n ?? 0) >= ENDPOINTS_MAX)
    throw new Problem('CONFLICT', { detail: `A tenant has at most ${ENDPOINTS_MAX} webhook endpoints.` });
  const endpointId = newId(call.now);
  const { secret, sealed, keyId } = await newSecret(call, endpointId);
  const [row] = await transaction.query<EndpointRow>(
    `insert into ops.webhook_endpoints (tenant_id, endpoint_id, url, event_types, description, is_active, managed_by, secret,
       secret_key_id, created_by, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) returning ${ENDPOINT_COLUMNS}`,
    [
      tenantId,
      endpointId,
      body.url,
      json(body.event_types),
      body.description,
      body.is_active,
      managedBy,
      sealed,
      keyId,
      call.principal.actor,
      call.now,
    ],
  );
  if (row === undefined) throw new Error('an inserted row was not returned');
  return { row, secret };
}
