import type { z } from 'zod';
import { DATA_KEYS_LIST, type ListedDataKey } from '../../platform/crypto/data-keys-list.ts';
import { readKeyset } from '../../platform/db/keyset.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import type { Reply } from '../../platform/call/reply.ts';
import { positionIn } from '../../platform/http/list-reply.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../platform/http/pagination.ts';
import { auditEvent } from '../../platform/writes/caused-events.ts';
import { performPlatformWrite } from '../../platform/writes/perform-write.ts';
import type { dataKeysQuery, DataKeyRotated, ShownDataKey } from './data-key-schemas.ts';

/**
 * Makes a new data key for the call's tenant. What is stored from now on is sealed with it: at once in this process, within 5 s in
 * the others. Older keys stay and open what they sealed.
 *
 * It writes with the cross-tenant role, because the role of requests may write neither `tenants` nor data keys. Both statements name
 * the tenant of the call.
 * @throws Problem 409 for a tenant that stores no content; KeyUnavailable if nothing can wrap the new key.
 */
export async function rotateDataKey(call: Call): Promise<Reply<201, DataKeyRotated>> {
  const { tenantId } = call.tenant;
  const { dataKeys, tenants } = call.services;
  // Before the transaction: it must not wait for the vault.
  await dataKeys.wrapping.current();
  const reply = await performPlatformWrite<Reply<201, DataKeyRotated>>(
    call,
    async (transaction) => {
      // Two rotations at once come one after the other, and so does an erasure.
      const [tenant] = await transaction.query<{ data_key_id: string | null; status: string }>(
        `select data_key_id, status from tenants where tenant_id = $1 for no key update`,
        [tenantId],
      );
      if (tenant === undefined || tenant.status === 'erased')
        throw new Problem('NOT_FOUND', { detail: 'There is no such tenant.' });
      const { data_key_id: replaces } = tenant;
      if (replaces === null) throw new Problem('CONFLICT', { detail: 'This tenant stores no content.' });
      const keyId = await dataKeys.create(transaction, tenantId, call.now);
      await transaction.query(
        `update tenants set data_key_id = $2, updated_at = $3, version = version + 1 where tenant_id = $1`,
        [tenantId, keyId, call.now],
      );
      const audit = {
        action: 'data_key.rotated',
        resource_type: 'data_key',
        resource_id: keyId,
        details: { tenant_id: tenantId, replaces },
      };
      const isOperators = tenantId !== call.principal.tenantId;
      return {
        reply: {
          status: 201,
          body: {
            key_id: keyId,
            state: 'current',
            created_at: call.now.toISOString(),
            destroyed_at: null,
            replaces,
          },
        },
        audit,
        events: isOperators ? [auditEvent(call, { ...audit, tenant_id: tenantId })] : [],
      };
    },
    { beyondQuota: true },
  );
  tenants.forget(tenantId);
  return reply;
}

/** A page of the tenant's data keys, destroyed ones too. */
export async function listDataKeys(
  call: Call,
  query: z.output<typeof dataKeysQuery>,
  url: string,
): Promise<Reply<200, Page<ShownDataKey>>> {
  const [current] = await call.tenant.statement<{ data_key_id: string | null }>(
    `select r.* from scope, lateral (
       select data_key_id from tenants t where t.tenant_id = scope.tenant_id offset 0) r`,
  );
  const stateOf = (row: ListedDataKey): ShownDataKey['state'] => {
    if (row.destroyed_at !== null) return 'destroyed';
    return row.key_id === current?.data_key_id ? 'current' : 'retired';
  };
  const scope = cursorScope(call, query);
  return pageReply<ShownDataKey>(scope, url, readPage(scope, query), {
    read: async (step) =>
      (await readKeyset<ListedDataKey>(call.tenant, DATA_KEYS_LIST, step)).map((row) => ({
        key_id: row.key_id,
        state: stateOf(row),
        created_at: row.created_at,
        destroyed_at: row.destroyed_at,
      })),
    positionOf: positionIn(DATA_KEYS_LIST),
  });
}
