import type { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import {
  created,
  noContent,
  notModified,
  ok,
  type NoContent,
  type NotModified,
  type Reply,
} from '../../../platform/call/reply.ts';
import { readKeyset, type KeysetList } from '../../../platform/db/keyset.ts';
import { json, type TenantTransaction } from '../../../platform/db/tenant-database.ts';
import {
  etagOf,
  isNotModified,
  readIfMatch,
  requireIfMatch,
  versionConflict,
} from '../../../platform/http/etag.ts';
import { positionIn } from '../../../platform/http/list-reply.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../../platform/http/pagination.ts';
import { outboundRules, targetFault } from '../../../platform/outbound/target-url.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import type {
  endpointsQuery,
  EndpointView,
  EndpointWithSecret,
  NewEndpoint,
  SecretRotation,
} from '../schemas.ts';
import {
  ENDPOINT_AUDIT_TYPE,
  ENDPOINT_COLUMNS,
  lockEndpoint,
  noSuchEndpoint,
  presentEndpoint,
  type EndpointRow,
} from './endpoint-row.ts';
import { insertEndpoint } from './insert-endpoint.ts';
import { newSecret } from './secret.ts';

/**
 * Makes an endpoint. Only this answer has its secret.
 * @throws Problem 400 for a target to which this service does not send, 409 for one too many.
 */
export function createEndpoint(call: Call, body: NewEndpoint): Promise<Reply<201, EndpointWithSecret>> {
  refuseTarget(call, body.url);
  return performWrite(call, async (transaction) => {
    const { row, secret } = await insertEndpoint(call, transaction, body, null);
    const shown = presentEndpoint(row, call.now);
    const reply = (text: string | null): Reply<201, EndpointWithSecret> =>
      created(locationOf(row), { ...shown, secret: text }, { etag: shown.etag });
    return {
      reply: reply(secret),
      storedReply: reply(null),
      audit: auditOf('created', row, { event_types: row.event_types, is_active: row.is_active }),
    };
  });
}

/** A page of the tenant's endpoints. */
export function listEndpoints(
  call: Call,
  query: z.output<typeof endpointsQuery>,
  url: string,
): Promise<Reply<200, Page<EndpointView>>> {
  const list: KeysetList = {
    table: 'ops.webhook_endpoints',
    columns: ENDPOINT_COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'endpoint_id',
    idType: 'uuid',
    conditions: [],
  };
  const scope = cursorScope(call, query);
  return pageReply<EndpointView>(scope, url, readPage(scope, query), {
    read: async (step) =>
      (await readKeyset<EndpointRow>(call.tenant, list, step)).map((row) => presentEndpoint(row, call.now)),
    positionOf: positionIn(list),
  });
}

/** One endpoint. @throws Problem 404. */
export async function readEndpoint(
  call: Call,
  endpointId: string,
  ifNoneMatch: string | null,
): Promise<Reply<200, EndpointView> | NotModified> {
  const [row] = await call.tenant.statement<EndpointRow>(
    `select r.* from scope, lateral (
       select ${ENDPOINT_COLUMNS} from ops.webhook_endpoints e
        where e.tenant_id = scope.tenant_id and e.endpoint_id = $2 offset 0) r`,
    [endpointId],
  );
  if (row === undefined) throw noSuchEndpoint();
  const headers = { etag: etagOf(row.row_version) };
  if (isNotModified(ifNoneMatch, row.row_version)) return notModified(headers);
  return ok(presentEndpoint(row, call.now), headers);
}

/**
 * Replaces an endpoint. An active one starts as new: what disabled it is forgotten.
 * @throws Problem 400, 404, 409 for the one that the tenant's settings manage, 412.
 */
export function replaceEndpoint(
  call: Call,
  endpointId: string,
  body: NewEndpoint,
  ifMatch: string | null,
): Promise<Reply<200, EndpointView>> {
  const matches = requireIfMatch(ifMatch);
  refuseTarget(call, body.url);
  return performWrite(call, async (transaction) => {
    const before = await lockEndpoint(call, transaction, endpointId);
    refuseManaged(before);
    if (!matches(before.row_version)) throw versionConflict();
    const row = await updateEndpoint(call, transaction, endpointId, body);
    const shown = presentEndpoint(row, call.now);
    return {
      reply: ok(shown, { etag: shown.etag }),
      audit: auditOf('replaced', row, {
        event_types: row.event_types,
        is_active: row.is_active,
        url_changed: row.url !== before.url,
        was_disabled: before.disabled_reason,
      }),
    };
  });
}

/** Writes what a client says of an endpoint, whose row is locked. */
export async function updateEndpoint(
  call: Call,
  transaction: TenantTransaction,
  endpointId: string,
  body: NewEndpoint,
): Promise<EndpointRow> {
  const [row] = await transaction.query<EndpointRow>(
    `update ops.webhook_endpoints
        set url = $3, event_types = $4, description = $5, is_active = $6, updated_at = $7, version = version + 1,
            disabled_reason = case when not $6 then disabled_reason end,
            disabled_at = case when not $6 then disabled_at end,
            failing_since = case when not $6 then failing_since end
      where tenant_id = $1 and endpoint_id = $2 returning ${ENDPOINT_COLUMNS}`,
    [
      call.tenant.tenantId,
      endpointId,
      body.url,
      json(body.event_types),
      body.description,
      body.is_active,
      call.now,
    ],
  );
  if (row === undefined) throw new Error('a row that is locked was not written');
  return row;
}

/**
 * Deletes an endpoint with its secret. Nothing is sent to it any more; what waits is cancelled when it is due.
 * @throws Problem 404, 409 for the one that the tenant's settings manage, 412.
 */
export function deleteEndpoint(call: Call, endpointId: string, ifMatch: string | null): Promise<NoContent> {
  const matches = readIfMatch(ifMatch);
  return performWrite(
    call,
    async (transaction) => {
      const row = await lockEndpoint(call, transaction, endpointId);
      refuseManaged(row);
      if (!matches(row.row_version)) throw versionConflict();
      await transaction.query(`delete from ops.webhook_endpoints where tenant_id = $1 and endpoint_id = $2`, [
        call.tenant.tenantId,
        endpointId,
      ]);
      return { reply: noContent, audit: auditOf('deleted', row, {}) };
    },
    { beyondQuota: true },
  );
}

/**
 * Gives an endpoint a new secret. Until the overlap ends, messages are signed with the old one too. Only this answer has the new one.
 * @throws Problem 404.
 */
export function rotateSecret(
  call: Call,
  endpointId: string,
  { overlap_seconds: overlap }: SecretRotation,
): Promise<Reply<200, EndpointWithSecret>> {
  return performWrite(
    call,
    async (transaction) => {
      await lockEndpoint(call, transaction, endpointId);
      const { secret, sealed, keyId } = await newSecret(call, endpointId);
      const end = overlap === 0 ? null : new Date(call.now.getTime() + overlap * 1000);
      // A secret of an earlier rotation ends now: there are never more than two.
      const [row] = await transaction.query<EndpointRow>(
        `update ops.webhook_endpoints
            set old_secret = case when $5::timestamptz is not null then secret end,
                old_secret_key_id = case when $5::timestamptz is not null then secret_key_id end,
                old_secret_expires_at = $5, secret = $3, secret_key_id = $4, updated_at = $6, version = version + 1
          where tenant_id = $1 and endpoint_id = $2 returning ${ENDPOINT_COLUMNS}`,
        [call.tenant.tenantId, endpointId, sealed, keyId, end, call.now],
      );
      if (row === undefined) throw new Error('a row that is locked was not written');
      const shown = presentEndpoint(row, call.now);
      const reply = (text: string | null): Reply<200, EndpointWithSecret> =>
        ok({ ...shown, secret: text }, { etag: shown.etag });
      return {
        reply: reply(secret),
        storedReply: reply(null),
        audit: auditOf('secret_rotated', row, { overlap_seconds: overlap }),
      };
    },
    { beyondQuota: true },
  );
}

function locationOf({ endpoint_id: id }: EndpointRow): string {
  return `/api/v1/webhook-endpoints/${id}`;
}

function auditOf(act: string, row: EndpointRow, details: Readonly<Record<string, unknown>>) {
  return {
    action: `webhook_endpoint.${act}`,
    resource_type: ENDPOINT_AUDIT_TYPE,
    resource_id: row.endpoint_id,
    // Not the address: its path may have a token.
    details,
  };
}

function refuseTarget(call: Call, url: string): void {
  const detail = targetFault(outboundRules(call.services.settings), url);
  if (detail !== undefined) throw new Problem('INVALID_REQUEST', { errors: [{ pointer: '/url', detail }] });
}

function refuseManaged({ managed_by: managedBy }: EndpointRow): void {
  if (managedBy === null) return;
  const detail = 'The endpoint is the callback of the tenant’s settings: change it there.';
  throw new Problem('CONFLICT', { detail });
}
