import type { DatabaseName } from '../call/call.ts';
import type { PersonColumns } from '../resources/person-columns.ts';

/** A column of sealed bytes, and how they are opened (`crypto/sealing`). */
export interface SealedColumn {
  readonly column: string;
  /** The column with the id of the data key that sealed it. */
  readonly keyId: string;
  /** The column with the id that the seal is bound to, besides the tenant. */
  readonly boundTo: string;
}

/** How a table's rows are exported: every column, except these. */
export interface ExportedTable {
  /** Columns that never leave: hashes of secrets, and what only this service's machinery compares. A comment says why. */
  readonly leaveOut?: readonly string[];
  /** What a row has in an export besides its columns, as SQL over the row `t`: what another table without a tenant says of it. */
  readonly also?: Readonly<Record<string, string>>;
  /** Columns that are opened, as text. */
  readonly sealed?: readonly SealedColumn[];
}

/** A table that is not exported, with the reason. */
export interface NotExported {
  readonly not: string;
}

/** A table whose rows stay when their tenant is erased, with the reason. */
export interface KeptTable {
  readonly keep: string;
  /** The columns that are replaced in each row, with the SQL of their new value. They are personal, and nothing needs them. */
  readonly clear?: Readonly<Record<string, string>>;
  /** True for rows that the law keeps for the years of the setting INVOICE_RETENTION_YEARS after their `created_at`. */
  readonly byLaw?: true;
}

/**
 * A table that has tenants' rows. Export and erasure work from these declarations, and know no table of their own. The table's
 * domain declares it; `functions/tenant-tables.ts` lists all, and `tests/tenant-tables.test.ts` compares them with the three
 * databases.
 */
export interface TenantTable {
  readonly database: DatabaseName;
  /** With its schema, unless that is `public`: `ops.outbox`. */
  readonly table: string;
  /**
   * What distinguishes a tenant's rows, in the order in which they are read and deleted: a unique key without its `tenant_id`. Empty
   * for a table with one row a tenant.
   */
  readonly key: readonly string[];
  readonly export: ExportedTable | NotExported;
  readonly onErasure: 'delete' | KeptTable;
  /** Columns that name a person, in the order in which they are handled. Other columns have only what clients wrote. */
  readonly person?: PersonColumns;
}

/** A table of evidence, settings or usage: exported in full, deleted with its tenant. */
export function tenantTable(
  database: DatabaseName,
  declared: Pick<TenantTable, 'table' | 'key'> & Partial<TenantTable>,
): TenantTable {
  return { export: {}, onErasure: 'delete', ...declared, database };
}
