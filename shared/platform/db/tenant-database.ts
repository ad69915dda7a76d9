import { channel } from 'node:diagnostics_channel';
import type { SpanContext } from '@opentelemetry/api';
import { PLATFORM_TENANT } from '../auth/principal.ts';
import type { Pool } from './pool.ts';
import { inChildSpan } from '../telemetry/tracing.ts';
import type { GuardedPool, PoolOf } from './guarded-pool.ts';
import { quoted } from './recordset.ts';
import { statementName } from './statement-name.ts';
import type { LiveTransaction } from './transaction.ts';

/** The value of a placeholder. Wrap an object or array in `json` for jsonb. */
export type Parameter =
  string | number | boolean | null | Date | Uint8Array | JsonParameter | readonly string[];

/** A value for a jsonb placeholder. */
export class JsonParameter {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

/** Marks a value as jsonb. Otherwise an array would become a PostgreSQL array. */
export function json(value: unknown): JsonParameter {
  return new JsonParameter(value);
}

/** How one statement is sent. */
export interface StatementOptions {
  /**
   * False sends an unnamed statement, which is planned with its values. Use it for range reads of partitioned tables: a
   * generic plan would lock every partition.
   */
  readonly prepare?: boolean;
  /**
   * True for a statement that reads or writes a few rows by key within a few milliseconds. It may share a connection with
   * other short statements, see {@link GuardedPool}. An unnamed statement cannot share one, so this has no effect on it.
   */
  readonly short?: boolean;
  /** Its name in a trace, if the text tells too little. */
  readonly name?: string;
  /** The spans of other callers whose rows it writes. */
  readonly causes?: readonly SpanContext[];
}

/** Before it sends an unnamed statement, the driver asks the server to describe it, and blocks its connection until then. */
const isShort = ({ prepare = true, short = false }: StatementOptions): boolean => prepare && short;

/** An array as PostgreSQL reads it. The driver's own arrays would need a query for array types on each connection. */
function arrayLiteral(items: readonly string[]): string {
  return `{${items.map(quoted).join(',')}}`;
}

/** The diagnostics channel of {@link TenantDatabase.statement}. */
export const TENANT_STATEMENTS = 'comply-ai:tenant-statement';

/**
 * Every statement of a tenant, when it is sent. Tests listen to it. They check each statement against the rules of {@link
 * TenantDatabase.statement} with PostgreSQL's own parser. Without a listener it costs nothing.
 */
const statements = channel(TENANT_STATEMENTS);

const SET_TENANT = `select set_config('app.current_tenant_id', $1, true)`;

/** A statement after the scope that sets its tenant, `$1`; see {@link TenantDatabase.statement}. */
function inScope(text: string): string {
  const whole = `with scope as materialized (${SET_TENANT} as tenant_id) ${text}`;
  if (statements.hasSubscribers) statements.publish(whole);
  return whole;
}

type Row = Record<string, unknown>;
type Executor = Pool | LiveTransaction;

// The driver declares its rows as `any` and its parameters more narrowly than they are. Only this place converts between
// them.
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

/** Runs a statement in its span, which has the wait for a connection too. */
function traced<T extends Row>(
  of: PoolOf | undefined,
  text: string,
  { name, causes }: StatementOptions,
  run: () => Promise<T[]>,
): Promise<T[]> {
  return inChildSpan(() => name ?? statementName(text), { ...spanOf(of), ...linksOf(causes) }, run);
}

function spanOf(of: PoolOf | undefined) {
  return {
    kind: 'client' as const,
    attributes: {
      'db.system.name': 'postgresql',
      ...(of === undefined ? {} : { 'db.namespace': of.database }),
    },
  };
}

/** The first cause is the statement's parent: the caller who waits longest. The others are linked. */
function linksOf(causes: readonly SpanContext[] | undefined) {
  if (causes === undefined) return {};
  const [first, ...others] = causes;
  return { parent: first, links: others };
}

/**
 * A transaction bound to one tenant: every statement in it runs under that tenant's row security. {@link
 * TenantDatabase.transaction} makes it. It cannot be used after its end.
 */
export class TenantTransaction {
  readonly tenantId: string;
  readonly #transaction: LiveTransaction;
  constructor(tenantId: string, transaction: LiveTransaction) {
    this.tenantId = tenantId;
    this.#transaction = transaction;
  }

  /** Runs one statement. The statement must filter by the tenant too (`$n` of its own). */
  query<T extends Row = Row>(
    text: string,
    parameters: readonly Parameter[] = [],
    options: StatementOptions = {},
  ): Promise<T[]> {
    return traced(undefined, text, options, () => execute<T>(this.#transaction, text, parameters, options));
  }

  /**
   * Runs one statement as the platform's tenant, and then continues as this tenant. An operator's work for a tenant also
   * writes rows of the platform. The text is as in {@link TenantDatabase.statement}; the caller's parameters begin at `$2`.
   */
  async statementAsPlatform(text: string, parameters: readonly Parameter[]): Promise<void> {
    const whole = inScope(text);
    // Sent together, but the server runs them in order.
    await Promise.all([
      this.query(whole, [PLATFORM_TENANT, ...parameters]),
      this.query(SET_TENANT, [this.tenantId]),
    ]);
  }

  /**
   * Runs statements in a savepoint. If `run` throws, only they are undone, and the transaction continues. @throws what `run`
   * throws.
   */
  savepoint<T>(run: (inner: TenantTransaction) => Promise<T>): Promise<T> {
    return this.#transaction.savepoint((inner) => run(new TenantTransaction(this.tenantId, inner)));
  }
}

/** One database as one tenant sees it. Domain functions take it as their first argument. It does not expose the pool. */
export class TenantDatabase {
  readonly tenantId: string;
  readonly #pool: GuardedPool;
  constructor(tenantId: string, pool: GuardedPool) {
    this.tenantId = tenantId;
    this.#pool = pool;
  }

  /**
   * Runs one statement, a read or an insert, in one round trip. The text continues a WITH clause. The first member of that
   * clause, `scope`, sets the tenant and yields `scope.tenant_id`. Row security is checked when a table is scanned, so
   * `scope` must run before any scan:
   *
   * - A read is a lateral subquery that uses a value of `scope`. It ends in `offset 0`, so that the planner does not pull it
   *   up.
   * - An insert takes its rows from `scope`.
   * - An update or delete could run before `scope`: it needs {@link transaction}.
   *
   * A test checks every statement that runs in the suite (`tests/harness/tenant-scope-check.ts`). Nothing checks them at run
   * time. A statement that broke the rules would see too few rows, never another tenant's. `$1` is the tenant; the caller's
   * parameters begin at `$2`.
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
    return traced(this.#pool.of, text, options, () =>
      this.#pool.run((pool) => execute<T>(pool, whole, [this.tenantId, ...parameters], options), {
        short: isShort(options),
      }),
    );
  }

  /** Runs several statements in one transaction under the tenant's row security. A throw rolls back. */
  transaction<T>(run: (transaction: TenantTransaction) => Promise<T>): Promise<T> {
    return inTransactionSpan(this.#pool, async (transaction) => {
      // Not awaited here: the driver pipelines it before the first statement of `run`.
      const scope = execute(transaction, SET_TENANT, [this.tenantId], {});
      const [, value] = await Promise.all([scope, run(new TenantTransaction(this.tenantId, transaction))]);
      return value;
    });
  }
}

/**
 * One database across tenants, for timers, queue writers and authentication. It connects as the cross-tenant role
 * (`comply_jobs`), for which explicit policies open all rows. The linter forbids it in `functions/` (`eslint.config.js`,
 * `dev/lint/layer-rules.ts`).
 */
export class CrossTenantDatabase {
  readonly #pool: GuardedPool;
  constructor(pool: GuardedPool) {
    this.#pool = pool;
  }

  query<T extends Row = Row>(
    text: string,
    parameters: readonly Parameter[] = [],
    options: StatementOptions = {},
  ): Promise<T[]> {
    return traced(this.#pool.of, text, options, () =>
      this.#pool.run((pool) => execute<T>(pool, text, parameters, options), { short: isShort(options) }),
    );
  }

  /** Runs several statements in one transaction. A throw rolls back. */
  transaction<T>(run: (transaction: CrossTenantTransaction) => Promise<T>): Promise<T> {
    return inTransactionSpan(this.#pool, (transaction) => run(new CrossTenantTransaction(transaction)));
  }
}

/** A transaction of the cross-tenant role (`comply_jobs`). */
export class CrossTenantTransaction {
  readonly #transaction: LiveTransaction;
  constructor(transaction: LiveTransaction) {
    this.#transaction = transaction;
  }

  query<T extends Row = Row>(
    text: string,
    parameters: readonly Parameter[] = [],
    options: StatementOptions = {},
  ): Promise<T[]> {
    return traced(undefined, text, options, () => execute<T>(this.#transaction, text, parameters, options));
  }
}

/** From the wait for a connection to the commit. */
function inTransactionSpan<T>(
  pool: GuardedPool,
  run: (transaction: LiveTransaction) => Promise<T>,
): Promise<T> {
  return inChildSpan('transaction', spanOf(pool.of), () => pool.begin(run));
}
