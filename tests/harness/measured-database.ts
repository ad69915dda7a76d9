import type {
  CrossTenantDatabase,
  Parameter,
  StatementOptions,
  TenantDatabase,
  TenantTransaction,
} from '../../shared/platform/db/tenant-database.ts';

/** What one statement read, also within functions and triggers. */
export interface Measured {
  readonly text: string;
  /** Pages of 8 KB of all tables and indexes, from memory or from disk. A page that is read twice counts twice. */
  readonly pages: number;
  /** The most rows or entries that were read of one table or index, including those that were not used. */
  readonly rows: number;
  /** That table or index. */
  readonly where: string;
}

type Queries = Pick<TenantTransaction, 'query'>;

/**
 * A database that counts what each statement reads. A statement that the driver prepares runs twice: first planned with its
 * values and rolled back, then normally with the generic plan. In the long run the driver's connections use both plans.
 */
export function measuring(database: CrossTenantDatabase): {
  readonly database: CrossTenantDatabase;
  readonly measured: Measured[];
} {
  const measured: Measured[] = [];
  const transaction = <T>(work: (transaction: Queries) => Promise<T>): Promise<T> =>
    database.transaction((own) => work(measuredTransaction(own, measured)));
  const query = (text: string, parameters?: readonly Parameter[], options?: StatementOptions) =>
    transaction((own) => own.query(text, parameters, options));
  return { database: { query, transaction } as unknown as CrossTenantDatabase, measured };
}

/** The same for a tenant's database. */
export function measuringTenant(database: TenantDatabase): {
  readonly database: TenantDatabase;
  readonly measured: Measured[];
} {
  const measured: Measured[] = [];
  const statement = (text: string, parameters: readonly Parameter[] = [], options: StatementOptions = {}) =>
    database.transaction((own) =>
      measuredTransaction(own, measured).query(
        `with scope as materialized (select set_config('app.current_tenant_id', $1, true) as tenant_id) ${text}`,
        [database.tenantId, ...parameters],
        options,
      ),
    );
  return { database: { tenantId: database.tenantId, statement } as unknown as TenantDatabase, measured };
}

function measuredTransaction(transaction: Queries, measured: Measured[]): Queries {
  let last: Promise<unknown> = Promise.resolve();
  const query = (text: string, parameters: readonly Parameter[] = [], options: StatementOptions = {}) => {
    // One after the other: a caller may send several together, and each has a savepoint of its own.
    const done = last.then(() => run(transaction, measured, { text, parameters, options }));
    last = done.catch(() => undefined);
    return done;
  };
  return { query: query as Queries['query'] };
}

interface Statement {
  readonly text: string;
  readonly parameters: readonly Parameter[];
  readonly options: StatementOptions;
}

type Rows = Record<string, unknown>[];

async function run(transaction: Queries, measured: Measured[], statement: Statement): Promise<Rows> {
  const { text, parameters, options } = statement;
  if (!/^\s*(with|select|insert|update|delete)\b/i.test(text))
    return transaction.query(text, parameters, options);
  if (options.prepare === false) return count(transaction, measured, statement, 'force_custom_plan');
  await transaction.query('savepoint measured');
  await count(transaction, measured, statement, 'force_custom_plan');
  await transaction.query('rollback to savepoint measured');
  return count(transaction, measured, statement, 'force_generic_plan');
}

async function count(
  transaction: Queries,
  measured: Measured[],
  { text, parameters, options }: Statement,
  planning: 'force_custom_plan' | 'force_generic_plan',
): Promise<Rows> {
  await transaction.query(`set local plan_cache_mode = ${planning}`);
  const before = await transaction.query<Counters>(RELATIONS);
  const rows = await transaction.query(text, parameters, options);
  const oids = before.map(({ oid }) => String(oid));
  const after = new Map(
    (await transaction.query<Counters>(AGAIN, [oids])).map((relation) => [relation.oid, relation]),
  );
  let [pages, most, where] = [0, 0, ''];
  for (const then of before) {
    const now = after.get(then.oid) ?? then;
    pages += now.pages - then.pages;
    if (now.rows - then.rows > most) [most, where] = [now.rows - then.rows, then.name];
  }
  measured.push({ text, pages, rows: most, where });
  return rows;
}

interface Counters {
  readonly [column: string]: unknown;
  readonly oid: number;
  readonly name: string;
  readonly pages: number;
  readonly rows: number;
}

// The server's counters of the connection's own transaction. Unlike EXPLAIN they have what functions and triggers read, and the
// statement runs as it is: under EXPLAIN its values are known, so that it never has the plan for all values. They are read
// again by the relations' oids, since the statement may drop one.
const COUNTERS = `pg_stat_get_xact_blocks_fetched(oid)::int as pages,
  greatest(pg_stat_get_xact_tuples_returned(oid), pg_stat_get_xact_tuples_fetched(oid))::int as rows`;
const RELATIONS = `select oid, oid::regclass::text as name, ${COUNTERS} from pg_class
  where relnamespace in ('public'::regnamespace, 'ops'::regnamespace) and relkind in ('r', 'i')`;
const AGAIN = `select oid, '' as name, ${COUNTERS} from unnest($1::oid[]) r (oid)`;
