import type { z } from 'zod';
import { knownPermissions, type Permission } from '../../platform/auth/permissions.ts';
import { when } from '../../platform/db/keyset.ts';
import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import { listReply } from '../../platform/http/list-reply.ts';
import { Problem } from '../../platform/call/problem.ts';
import { created, noContent, type Reply } from '../../platform/call/reply.ts';
import { performWrite } from '../../platform/writes/perform-write.ts';
import { insertKey, KEY_COLUMNS, keyStatus, presentKey, type KeyRow } from './insert-key.ts';
import { permissionsOf, type apiKeysQuery, type NewApiKey, type Rotation } from './schemas.ts';

const AUDIT_TYPE = 'api_key';

/**
 * Makes a key. Its text is in this answer alone.
 * @throws Problem 403 for a permission that the caller's own key lacks, 400 for an expiry that has passed.
 */
export function createApiKey(call: Call, body: NewApiKey): Promise<Reply> {
  const permissions = permissionsOf(body);
  refuseMoreThanHeld(call, permissions);
  const expiresAt = laterThanNow(call, body.expires_at);
  return performWrite(call, async (transaction) => {
    const { row, credential } = await insertKey(
      call.services.settings,
      transaction,
      {
        tenantId: call.tenant.tenantId,
        name: body.key_name,
        permissions,
        rateLimitPerHour: body.rate_limit_per_hour,
        rateLimitPerDay: body.rate_limit_per_day,
        expiresAt,
        createdBy: actorOf(call),
      },
      call.now,
    );
    return {
      ...shownOnce(call, row, credential),
      audit: {
        action: 'api_key.created',
        resource_type: AUDIT_TYPE,
        resource_id: row.key_id,
        details: { permissions },
      },
    };
  });
}

/** A page of the tenant's keys, revoked ones too. */
export function listApiKeys(call: Call, query: z.output<typeof apiKeysQuery>, url: string): Promise<Reply> {
  return listReply<KeyRow>(
    call,
    query,
    url,
    {
      table: 'api_keys k',
      columns: KEY_COLUMNS,
      timeColumn: 'created_at',
      idColumn: 'key_id',
      idType: 'text',
      conditions: when('is_active = ?', query.is_active),
    },
    { present: (row) => presentKey(row, call.now) },
  );
}

/**
 * Makes a key's successor with its name, permissions and limits; the old one works on for the overlap.
 * @throws Problem 404; 409 for a key that is revoked, expired or rotated already; 403 for one that may do more than the
 * caller's, whose secret would be a way to more.
 */
export async function rotateApiKey(call: Call, keyId: string, body: Rotation): Promise<Reply> {
  const reply = await performWrite(
    call,
    async (transaction) => {
      const old = await lockKey(call, transaction, keyId);
      const status = keyStatus(old, call.now);
      if (status !== 'active') throw notRotatable(`The key is ${status}.`);
      if (old.replaced_by !== null) throw notRotatable(`The key was rotated to ${old.replaced_by}.`);
      const permissions = [...knownPermissions(old.permissions)];
      refuseMoreThanHeld(call, permissions);
      const { row, credential } = await insertKey(
        call.services.settings,
        transaction,
        {
          tenantId: call.tenant.tenantId,
          name: old.key_name,
          permissions,
          rateLimitPerHour: old.rate_limit_per_hour,
          rateLimitPerDay: old.rate_limit_per_day,
          expiresAt: successorExpiry(call, old, body),
          createdBy: actorOf(call),
        },
        call.now,
      );
      const end = overlapEnd(call, old, body);
      await transaction.query(
        `update api_keys set replaced_by = $3, expires_at = $4, updated_at = $5, version = version + 1
          where tenant_id = $1 and key_id = $2`,
        [call.tenant.tenantId, keyId, row.key_id, end, call.now],
      );
      const replaces = { key_id: keyId, expires_at: end.toISOString() };
      return {
        ...shownOnce(call, row, credential, { replaces }),
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
 * Revokes a key; revoked already, it stays so.
 * @throws Problem 404; 409 for the last key that can manage keys, without which the tenant would be locked out.
 */
export async function revokeApiKey(call: Call, keyId: string): Promise<Reply> {
  const reply = await performWrite(
    call,
    async (transaction) => {
      // All of the tenant's managing keys are locked, so that the last two cannot revoke each other at once.
      const managers = await transaction.query<{ key_id: string }>(
        `select k.key_id from api_keys k
          where k.tenant_id = $1 and k.is_active and k.revoked_at is null and k.replaced_by is null
            and (k.expires_at is null or k.expires_at > $2) and k.permissions ? 'api_keys:manage'
          order by k.key_id for update`,
        [call.tenant.tenantId, call.now],
      );
      await lockKey(call, transaction, keyId);
      if (managers.length === 1 && managers[0]?.key_id === keyId) {
        const detail = 'It is the tenant’s last key that manages keys: make another one first.';
        throw new Problem('CONFLICT', { detail });
      }
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

function actorOf(call: Call): string {
  return `key:${call.principal.keyId}`;
}

/** The answer with the key's text, and the one that is kept for a repeated Idempotency-Key, without it. */
function shownOnce(
  call: Call,
  row: KeyRow,
  credential: string,
  more: Readonly<Record<string, unknown>> = {},
): { reply: Reply; storedReply: Reply } {
  const location = `/api/v1/api-keys/${row.key_id}`;
  const shown = { ...presentKey(row, call.now), ...more };
  return {
    reply: created(location, { ...shown, api_key: credential }),
    storedReply: created(location, { ...shown, api_key: null }),
  };
}

function refuseMoreThanHeld(call: Call, wanted: readonly Permission[]): void {
  const beyond = wanted.filter((permission) => !call.principal.permissions.has(permission));
  if (beyond.length === 0) return;
  throw new Problem('INSUFFICIENT_RBAC', {
    detail: `The calling key cannot give what it does not have: ${beyond.join(', ')}.`,
  });
}

function laterThanNow(call: Call, expiresAt: string | null): Date | null {
  if (expiresAt === null) return null;
  if (Date.parse(expiresAt) > call.now.getTime()) return new Date(expiresAt);
  throw new Problem('INVALID_REQUEST', { errors: [{ pointer: '/expires_at', detail: 'has passed' }] });
}

function notRotatable(detail: string): Problem {
  return new Problem('CONFLICT', { detail });
}

async function lockKey(call: Call, transaction: TenantTransaction, keyId: string): Promise<KeyRow> {
  const [row] = await transaction.query<KeyRow>(
    `select ${KEY_COLUMNS} from api_keys k where k.tenant_id = $1 and k.key_id = $2 for update`,
    [call.tenant.tenantId, keyId],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such API key.' });
  return row;
}

function successorExpiry(call: Call, old: KeyRow, body: Rotation): Date | null {
  if (body.expires_at !== undefined) return laterThanNow(call, body.expires_at);
  if (old.expires_at === null) return null;
  const lifetime = Date.parse(old.expires_at) - Date.parse(old.created_at);
  return new Date(call.now.getTime() + lifetime);
}

/** The old key's last moment: it never lives longer than it was made for. */
function overlapEnd(call: Call, old: KeyRow, body: Rotation): Date {
  const end = call.now.getTime() + body.overlap_seconds * 1000;
  return new Date(old.expires_at === null ? end : Math.min(end, Date.parse(old.expires_at)));
}
