import type {
  CrossTenantDatabase,
  CrossTenantTransaction,
  Parameter,
  StatementOptions,
} from '../../shared/platform/db/tenant-database.ts';

/** What one statement read. */
export interface Measured {
  readonly text: string;
  /** Pages of 8 KB, from memory or not. */
  readonly pages: number;
  /** Rows that a scan of a table looked at, the most of any: those that it found and those that it threw away. */
  readonly rowsScanned: number;
  /** Where that was. */
  readonly scan: string;
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly PlanNode[];
}

/**
 * A database that runs each statement twice: once under EXPLAIN, taken back, to see what it reads, and once for good. Each is
 * planned as it would be in the long run: a statement that the driver prepares with the plan that is kept for all values.
 */
export function measuring(database: CrossTenantDatabase): {
  readonly database: CrossTenantDatabase;
  readonly measured: Measured[];
} {
  const measured: Measured[] = [];
  const run = async (
    transaction: CrossTenantTransaction,
    text: string,
    parameters: readonly Parameter[],
    options: StatementOptions,
  ): Promise<Record<string, unknown>[]> => {
    if (/^\s*(with|select|insert|update|delete)\b/i.test(text)) {
      await transaction.query('savepoint measured');
      await transaction.query(
        `set local plan_cache_mode = ${options.prepare === false ? 'force_custom_plan' : 'force_generic_plan'}`,
      );
      const [row] = await transaction.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
        `explain (analyze, buffers, timing off, format json) ${text}`,
        parameters,
        options,
      );
      await transaction.query('rollback to savepoint measured');
      if (row !== undefined) measured.push(summaryOf(text, row['QUERY PLAN'][0].Plan));
    }
    return transaction.query(text, parameters, options);
  };
  const measuredTransaction = (transaction: CrossTenantTransaction) => ({
    query: (text: string, parameters: readonly Parameter[] = [], options: StatementOptions = {}) =>
      run(transaction, text, parameters, options),
  });
  const transaction = <T>(work: (transaction: CrossTenantTransaction) => Promise<T>): Promise<T> =>
    database.transaction((own) => work(measuredTransaction(own) as unknown as CrossTenantTransaction));
  const query = (text: string, parameters?: readonly Parameter[], options?: StatementOptions) =>
    transaction((own) => own.query(text, parameters, options));
  return { database: { query, transaction } as unknown as CrossTenantDatabase, measured };
}

function summaryOf(text: string, plan: PlanNode): Measured {
  let scan = '';
  let rowsScanned = 0;
  const walk = (node: PlanNode): void => {
    const looked =
      (node['Actual Rows'] +
        (node['Rows Removed by Filter'] ?? 0) +
        (node['Rows Removed by Index Recheck'] ?? 0)) *
      node['Actual Loops'];
    if (/Scan$/.test(node['Node Type']) && node['Relation Name'] !== undefined && looked > rowsScanned) {
      rowsScanned = looked;
      scan = `${node['Node Type']} on ${node['Relation Name']} ${node['Index Name'] ?? ''}`.trim();
    }
    node.Plans?.forEach(walk);
  };
  walk(plan);
  return { text, pages: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'], rowsScanned, scan };
}
