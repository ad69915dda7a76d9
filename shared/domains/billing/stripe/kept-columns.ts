import { literalsOf } from '../../../platform/tenant-data/literals.ts';
import { billingTables } from '../tenant-tables.ts';

/**
 * What an erasure leaves in a table, as its declaration says: the columns that it clears, with what stands there then. Undefined if it
 * deletes the rows.
 */
export function keptColumns(
  insert: `insert into ${string} as m`,
): Readonly<Record<string, string | null>> | undefined {
  const declared = billingTables.find(({ table }) => insert === `insert into ${table} as m`);
  if (declared === undefined) throw new Error(`no declaration of tenants' rows for: ${insert}`);
  const { onErasure } = declared;
  return onErasure === 'delete' ? undefined : literalsOf(onErasure.clear ?? {});
}
