import type { z } from 'zod';
import { knownPermissions } from '../../platform/auth/permissions.ts';
import { readKeyset, when, type KeysetList } from '../../platform/db/keyset.ts';
import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import { positionIn } from '../../platform/http/list-reply.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../platform/http/pagination.ts';
import { Problem } from '../../platform/call/problem.ts';
import { created, noContent, ok, type NoContent, type Reply } from '../../platform/call/reply.ts';
import { performWrite } from '../../platform/writes/perform-write.ts';
import { endOfCaller, grantsOfNewKey, readExpiry, refuseMoreThanHeld, type Grants } from './key-grants.ts';
import { requireManagerLeft } from './managing-keys.ts';
import { lockManagers } from './people/managers.ts';
import { requireHeld } from './roles/require-held.ts';
import { insertKey, KEY_COLUMNS, keyStatus, presentKey, type KeyRow } from './insert-key.ts';
import {
  permissionsOf,
  type ApiKey,
  type ApiKeyCreated,
  type ApiKeyRotated,
  type apiKeysQuery,
  type NewApiKey,
  type Rotation,
} from './schemas.ts';

const AUDIT_TYPE = 'api_key';

/**
 * Makes a key. Only this answer contains its text.
 * @throws Problem 403 for more permissions, a higher rate or a later expiry than the caller's own key has; 400 for an
 * expiry in the past.
 */
export function createApiKey(call: Call, body: NewApiKey): Promise<Reply<201, ApiKeyCreated>> {
  const grants = grantsOfNewKey(call, permissionsOf(body), body);
  return performWrite(call, async (transaction) => {
    const { row, credential } = await insertKey(
      call.services.settings,
      transaction,
      {
        ...grants,
        tenantId: call.tenant.tenantId,
        name: body.key_name,
        createdBy: call.principal.actor,
        makerId: call.principal.makerId,
      },
      call.now,
    );
    const shown = presentKey(row, call.now);
    return {
      ...shownOnce(row, (api_key): ApiKeyCreated => ({ ...shown, api_key }), credential),
      audit: {
        action: 'api_key.created',
        resource_type: AUDIT_TYPE,
        resource_id: row.key_id,
        details: { permissions: grants.permissions },
      },
    };
  });
}

/** A page of the tenant's keys, revoked ones too. */
export async function listApiKeys(
  call: Call,
  query: z.output<typeof apiKeysQuery>,
  url: string,
): Promise<Reply<200, Page<ApiKey>>> {
  const list: KeysetList = {
    table: 'api_keys k',
    columns: KEY_COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'key_id',
    idType: 'text',
    conditions: when('is_active = ?', query.is_active),
  };
  const scope = cursorScope(call, query);
  return pageReply<ApiKey>(scope, url, readPage(scope, query), {
    read: async (step) =>
      (await readKeyset<KeyRow>(call.tenant, list, step)).map((row) => presentKey(row, call.now)),
    positionOf: positionIn(list),
  });
}

/**
 * Makes a key's successor with its name, permissions and limits. The old key works until the overlap ends.
 * @throws Problem 404; 409 for a key that is revoked, expired or already rotated, and for the last lasting key that manages
 * keys if its successor would not last; 403 if the successor would have more than the caller's own key.
 */
export async function rotateApiKey(
  call: Call,
  keyId: string,
  body: Rotation,
): Promise<Reply<201, ApiKeyRotated>> {
  const reply = await performWrite(
    call,
    async (transaction) => {
      const { managers } = await lockManagers(transaction, call.tenant.tenantId, call.now);
      const old = await lockKey(call, transaction, keyId);
      const status = keyStatus(old, call.now);
      if (status !== 'active') throw notRotatable(`The key is ${status}.`);
      if (old.replaced_by !== null) throw notRotatable(`The key was rotated to ${old.replaced_by}.`);
      const grants = successorGrants(call, old, body);
      const { row, credential } = await insertKey(
        call.services.settings,
        transaction,
        {
          ...grants,
          tenantId: call.tenant.tenantId,
          name: old.key_name,
          createdBy: call.principal.actor,
          makerId: call.principal.makerId,
        },
        call.now,
      );
      const successor = { id: row.key_id, expires_at: row.expires_at };
      requireManagerLeft(managers, keyId, call.now, row.made_by_user === null ? [successor] : []);
      const end = overlapEnd(call, old, body);
      await transaction.query(
        `update api_keys set replaced_by = $3, expires_at = $4, updated_at = $5, version = version + 1
          where tenant_id = $1 and key_id = $2`,
        [call.tenant.tenantId, keyId, row.key_id, end, call.now],
      );
      const replaces = { key_id: keyId, expires_at: end.toISOString() };
      const shown: Omit<ApiKeyRotated, 'api_key'> = { ...presentKey(row, call.now), replaces };
      return {
        ...shownOnce(row, (api_key): ApiKeyRotated => ({ ...shown, api_key }), credential),
        audit: {
          action: 'api_key.rotated',
          resource_type: AUDIT_TYPE,
          resource_id: keyId,
          details: { replaced_by: row.key_id, old_key_expires_at: replaces.expires_at },
        },
      };
    },
    { beyondQuota: true },
  );
  call.services.credentials.forget(keyId);
  return reply;
}

/**
 * Revokes a key. A repeated call changes nothing.
 * @throws Problem 404; 409 for the last lasting key that manages keys: without it the tenant would be locked out.
 */
export async function revokeApiKey(call: Call, keyId: string): Promise<NoContent> {
  const reply = await performWrite(
    call,
    async (transaction) => {
      const { managers } = await lockManagers(transaction, call.tenant.tenantId, call.now);
      await lockKey(call, transaction, keyId);
      requireManagerLeft(managers, keyId, call.now);
      await transaction.query(
        `update api_keys set is_active = false, revoked_at = $3, updated_at = $3, version = version + 1
          where tenant_id = $1 and key_id = $2 and revoked_at is null`,
        [call.tenant.tenantId, keyId, call.now],
      );
      return {
        reply: noContent,
        audit: { action: 'api_key.revoked', resource_type: AUDIT_TYPE, resource_id: keyId },
      };
    },
    { beyondQuota: true },
  );
  call.services.credentials.forget(keyId);
  return reply;
}

/** The answer with the key's text, and the answer without it that a repeated Idempotency-Key gets. */
function shownOnce<Body>(
  row: KeyRow,
  bodyWith: (credential: string | null) => Body,
  credential: string,
): { reply: Reply<201, Body>; storedReply: Reply<201, Body> } {
  const location = `/api/v1/api-keys/${row.key_id}`;
  return { reply: created(location, bodyWith(credential)), storedReply: created(location, bodyWith(null)) };
}

function notRotatable(detail: string): Problem {
  return new Problem('CONFLICT', { detail });
}

/**
 * Lets the calling person answer for a key that another person made, so that a service goes on when that person leaves. The key's text
 * and permissions stay.
 * @throws Problem 404; 409 for a key that no person made, and for one that is revoked, expired or switched off; 403 for a caller who is
 * no person or does not hold all of the key's permissions.
 */
export async function adoptApiKey(call: Call, keyId: string): Promise<Reply<200, ApiKey>> {
  const { userId } = call.principal;
  const reply = await performWrite<Reply<200, ApiKey>>(
    call,
    async (transaction) => {
      if (userId === null)
        throw new Problem('INSUFFICIENT_RBAC', {
          detail: 'Only a person who has signed in can adopt a key.',
        });
      const old = await lockKey(call, transaction, keyId);
      if (old.made_by_user === null)
        throw new Problem('CONFLICT', { detail: 'No person made the key: it depends on nobody.' });
      const status = keyStatus(old, call.now);
      if (status === 'revoked' || status === 'expired' || !old.is_active)
        throw new Problem('CONFLICT', { detail: `The key is ${status}.` });
      await requireHeld(call, transaction, knownPermissions(old.permissions));
      const [row] = await transaction.query<KeyRow>(
        `update api_keys k set made_by_user = $3, updated_at = $4, version = version + 1
          where k.tenant_id = $1 and k.key_id = $2 returning ${KEY_COLUMNS}`,
        [call.tenant.tenantId, keyId, userId, call.now],
      );
      if (row === undefined) throw new Error('a row that is locked was not written');
      return {
        reply: ok(presentKey(row, call.now)),
        audit: {
          action: 'api_key.adopted',
          resource_type: AUDIT_TYPE,
          resource_id: keyId,
          details: { from_user: old.made_by_user },
        },
      };
    },
    { beyondQuota: true },
  );
  call.services.credentials.forget(keyId);
  return reply;
}

async function lockKey(call: Call, transaction: TenantTransaction, keyId: string): Promise<KeyRow> {
  const [row] = await transaction.query<KeyRow>(
    `select ${KEY_COLUMNS} from api_keys k where k.tenant_id = $1 and k.key_id = $2 for update`,
    [call.tenant.tenantId, keyId],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such API key.' });
  return row;
}

/** A successor has the old key's grants, limited to the calling key's. */
function successorGrants(call: Call, old: KeyRow, body: Rotation): Grants {
  const grants = {
    permissions: [...knownPermissions(old.permissions)],
    rateLimitPerHour: old.rate_limit_per_hour,
    rateLimitPerDay: old.rate_limit_per_day,
    expiresAt: body.expires_at === undefined ? successorExpiry(call, old) : readExpiry(call, body.expires_at),
  };
  refuseMoreThanHeld(call, grants);
  return grants;
}

/** The old key's full lifetime, limited to the calling key's expiry: else a key could extend itself without end. */
function successorExpiry(call: Call, old: KeyRow): Date | null {
  if (old.expires_at === null) return null;
  const lifetime = Date.parse(old.expires_at) - Date.parse(old.created_at);
  const own = endOfCaller(call)?.getTime() ?? Infinity;
  return new Date(Math.min(call.now.getTime() + lifetime, own));
}

/** When the old key ends: never later than its own expiry. */
function overlapEnd(call: Call, old: KeyRow, body: Rotation): Date {
  const end = call.now.getTime() + body.overlap_seconds * 1000;
  return new Date(old.expires_at === null ? end : Math.min(end, Date.parse(old.expires_at)));
}
