import type { DatabaseName } from '../call/call.ts';
import { tenantTable, type TenantTable } from './tenant-table.ts';

const DATABASES: readonly DatabaseName[] = ['core', 'billing', 'analytics'];

/** The tables of the machinery that have tenants' rows. */
export const platformTables: readonly TenantTable[] = [
  ...DATABASES.flatMap((database) => [
    tenantTable(database, {
      table: 'ops.idempotency',
      key: ['route', 'key'],
      person: { body: { keep: 'Answers to requests. They are deleted after a day.' } },
      export: { not: 'The answers to requests of the last day. The rows that they show are exported.' },
    }),
    tenantTable(database, {
      table: 'ops.outbox',
      key: ['id'],
      person: { events: { keep: 'Events on their way. They are gone in seconds.' } },
      export: { not: 'Events on their way. Their effects are exported.' },
    }),
  ]),
  tenantTable('core', {
    table: 'ops.quarantine',
    key: ['id'],
    person: {
      resolved_by: 'pseudonym',
      body: { keep: 'Messages that were refused, until an operator settles them.' },
    },
    export: { not: 'Messages that were refused. That they are of this tenant is only what they say.' },
  }),
  tenantTable('core', {
    table: 'ops.data_keys',
    key: ['key_id'],
    export: { not: 'Keys never leave. What they sealed is exported in clear.' },
    onErasure: { keep: 'That a key is destroyed, and when, is the proof of the erasure.' },
  }),
];
