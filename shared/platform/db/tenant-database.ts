import { channel } from 'node:diagnostics_channel';
import { PLATFORM_TENANT } from '../auth/principal.ts';
import type { Pool } from './pool.ts';
import type { GuardedPool } from './guarded-pool.ts';
import { quoted } from './recordset.ts';
import type { LiveTransaction } from './transaction.ts';

/** What may be bound to a placeholder. Objects and arrays for jsonb go through `json`. */
export type Parameter =
  string | number | boolean | null | Date | Uint8Array | JsonParameter | readonly string[];

/** A value to bind as jsonb. */
export class JsonParameter {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

/** Marks a value to be bound as jsonb; without it an array would be bound as a PostgreSQL array. */
export function json(value: unknown): JsonParameter {
  return new JsonParameter(value);
}

/** How one statement is sent. */
export interface StatementOptions {
  /**
   * False sends an unnamed statement, planned with its values: for range reads of partitioned tables, which would
   * lock every partition under a generic plan.
   */
  readonly prepare?: boolean;
  /**
   * True for a statement that reads or writes a few rows by key, in a few milliseconds: it may share a connection with
   * others of its kind, see {@link GuardedPool}. Has no effect on an unnamed statement, which cannot.
   */
  readonly short?: boolean;
}

/** The driver describes an unnamed statement before it sends it, and takes nothing else for its connection meanwhile. */
const isShort = ({ prepare = true, short = false }: StatementOptions): boolean => prepare && short;

/** An array as PostgreSQL reads it; the driver would have to ask the server for array types on each connection. */
function arrayLiteral(items: readonly string[]): string {
  return `{${items.map(quoted).join(',')}}`;
}

/** The diagnostics channel of {@link TenantDatabase.statement}. */
export const TENANT_STATEMENTS = 'comply-ai:tenant-statement';

/**
 * Every statement of a tenant, as it is sent. The tests listen, and hold each one that runs in them to the rules of
 * {@link TenantDatabase.statement} by PostgreSQL's own parser; without a listener it costs nothing.
 */
const statements = channel(TENANT_STATEMENTS);

const SET_TENANT = `select set_config('app.current_tenant_id', $1, true)`;

/** A statement behind the scope that sets its tenant, `$1`; see {@link TenantDatabase.statement}. */
function inScope(text: string): string {
  const whole = `with scope as materialized (${SET_TENANT} as tenant_id) ${text}`;
  if (statements.hasSubscribers) statements.publish(whole);
  return whole;
}

type Row = Record<string, unknown>;
type Executor = Pool | LiveTransaction;

// The driver declares `any`-typed rows and a narrower parameter type than it takes; this is the one place that bridges.
async function execute<T extends Row>(
  executor: Executor,
  text: string,
  parameters: readonly Parameter[],
  options: StatementOptions,
): Promise<T[]> {
  const bound = parameters.map((parameter) => {
    if (parameter instanceof JsonParameter) return executor.json(parameter.value as never);
    return Array.isArray(parameter) ? arrayLiteral(parameter as readonly string[]) : parameter;
  });
  const rows = await executor.unsafe<T[]>(text, bound as never[], { prepare: options.prepare ?? true });
  return [...rows];
}

/**
 * A transaction bound to one tenant: every statement in it runs under that tenant's row security. Handed out by
 * {@link TenantDatabase.transaction} and dead once it ends.
 */
export class TenantTransaction {
  readonly tenantId: string;
  readonly #transaction: LiveTransaction;
  constructor(tenantId: string, transaction: LiveTransaction) {
    this.tenantId = tenantId;
    this.#transaction = transaction;
  }

  /** Runs one statement; the caller names the tenant in it too (`$n` of its own). */
  query<T extends Row = Row>(
    text: string,
    parameters: readonly Parameter[] = [],
    options: StatementOptions = {},
  ): Promise<T[]> {
    return execute<T>(this.#transaction, text, parameters, options);
  }

  /**
   * Runs one statement as the platform's own tenant, and goes on as this one: for what an operator's work for a tenant leaves
   * with the platform. The text is as in {@link TenantDatabase.statement}, the caller's parameters begin at `$2`.
   */
  async statementAsPlatform(text: string, parameters: readonly Parameter[]): Promise<void> {
    const whole = inScope(text);
    // Sent together, run one after the other.
    await Promise.all([
      this.query(whole, [PLATFORM_TENANT, ...parameters]),
      this.query(SET_TENANT, [this.tenantId]),
    ]);
  }

  /** Runs statements that are undone alone where `run` throws: the transaction goes on. @throws what `run` throws. */
  savepoint<T>(run: (inner: TenantTransaction) => Promise<T>): Promise<T> {
    return this.#transaction.savepoint((inner) => run(new TenantTransaction(this.tenantId, inner)));
  }
}

/**
 * One database as one tenant sees it. Domain functions take this first; there is no way from here to the pool.
 */
export class TenantDatabase {
  readonly tenantId: string;
  readonly #pool: GuardedPool;
  constructor(tenantId: string, pool: GuardedPool) {
    this.tenantId = tenantId;
    this.#pool = pool;
  }

  /**
   * Runs one statement, a read or an insert, in one round trip. The text continues a WITH clause whose first member,
   * `scope`, sets the tenant and yields `scope.tenant_id`. Row security is judged where a table is scanned, so no table
   * may be scanned before. A read stands in a lateral subquery that takes a value from `scope` and ends in `offset 0`,
   * which the planner may not pull up; an insert takes its rows from `scope`. An update or delete could run first: it
   * needs {@link transaction}. A test holds every statement that runs in the suite to this
   * (`tests/harness/tenant-scope-check.ts`); nothing looks at them at run time, when a statement that broke the rules
   * would see too few rows, never another tenant's. `$1` is the tenant; the caller's parameters begin at `$2`.
   *
   *     tenant.statement(`select r.* from scope, lateral (
   *       select … from mapper_requests m where m.tenant_id = scope.tenant_id and m.request_id = $2 offset 0) r`, [id])
   *     tenant.statement(`, added as (insert … select scope.tenant_id, … from scope returning …) select * from added`, […])
   */
  statement<T extends Row = Row>(
    text: string,
    parameters: readonly Parameter[] = [],
    options: StatementOptions = {},
  ): Promise<T[]> {
    const whole = inScope(text);
    return this.#pool.run((pool) => execute<T>(pool, whole, [this.tenantId, ...parameters], options), {
      short: isShort(options),
    });
  }

  /** Runs several statements in one transaction under the tenant's row security; a throw rolls back. */
  transaction<T>(run: (transaction: TenantTransaction) => Promise<T>): Promise<T> {
    return this.#pool.begin(async (transaction) => {
      // Not awaited on its own: the driver pipelines it before the first statement of `run`.
      const scope = execute(transaction, SET_TENANT, [this.tenantId], {});
      const [, value] = await Promise.all([scope, run(new TenantTransaction(this.tenantId, transaction))]);
      return value;
    });
  }
}

/**
 * One database across tenants, for timers, queue writers and authentication: the jobs role, which row security lets in
 * by explicit policies. The linter keeps it out of `functions/` (`eslint.config.js`, `dev/lint/layer-rules.ts`).
 */
export class CrossTenantDatabase {
  readonly #pool: GuardedPool;
  constructor(pool: GuardedPool) {
    this.#pool = pool;
  }

  /** Runs one statement. */
  query<T extends Row = Row>(
    text: string,
    parameters: readonly Parameter[] = [],
    options: StatementOptions = {},
  ): Promise<T[]> {
    return this.#pool.run((pool) => execute<T>(pool, text, parameters, options), { short: isShort(options) });
  }

  /** Runs several statements in one transaction; a throw rolls back. */
  transaction<T>(run: (transaction: CrossTenantTransaction) => Promise<T>): Promise<T> {
    return this.#pool.begin((transaction) => run(new CrossTenantTransaction(transaction)));
  }
}

/** A transaction of the jobs role. */
export class CrossTenantTransaction {
  readonly #transaction: LiveTransaction;
  constructor(transaction: LiveTransaction) {
    this.#transaction = transaction;
  }

  /** Runs one statement. */
  query<T extends Row = Row>(
    text: string,
    parameters: readonly Parameter[] = [],
    options: StatementOptions = {},
  ): Promise<T[]> {
    return execute<T>(this.#transaction, text, parameters, options);
  }
}
