import type { DatabaseName } from '../../platform/call/call.ts';
import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

const LEDGER = 'The ledger of the erasure itself: what was done, when, and by whom it was requested.';
const NOT_EXPORTED = { not: 'The ledger of erasures. The tenant’s audit trail says that one was requested.' };
const DATABASES: readonly DatabaseName[] = ['core', 'billing', 'analytics'];

export const erasureTables: readonly TenantTable[] = [
  ...DATABASES.map((database) =>
    tenantTable(database, {
      table: 'ops.erasure_places',
      key: ['erasure_id', 'place'],
      export: NOT_EXPORTED,
      onErasure: { keep: LEDGER },
    }),
  ),
  ...(['ops.erasure_steps', 'ops.erasure_blobs', 'ops.erasures'] as const).map((table) =>
    tenantTable('core', {
      table,
      ...(table === 'ops.erasures'
        ? { person: { requested_by: 'pseudonym', person_id: { keep: LEDGER } } }
        : {}),
      key: {
        'ops.erasures': ['erasure_id'],
        'ops.erasure_steps': ['erasure_id', 'step'],
        'ops.erasure_blobs': ['erasure_id', 'container_name', 'blob_name'],
      }[table],
      export: NOT_EXPORTED,
      onErasure: { keep: LEDGER },
    }),
  ),
];
