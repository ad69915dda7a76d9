import type { SpanContext } from '@opentelemetry/api';
import { faultOf } from '../db/errors.ts';
import type { EncodedRow } from '../db/recordset.ts';
import { activeSpan } from '../telemetry/tracing.ts';

/** The most rows of one statement. With more, a row does not become cheaper, and each row waits longer for the others. */
const ROWS_MAX = 32;
/**
 * The most characters of the rows in one statement, except when one caller has more: the server reads and keeps them all at
 * once.
 */
const CHARACTERS_MAX = 512 * 1024;
/** A row ready to be written. */
export interface CoalescedRow {
  readonly requestId: string;
  /** Undefined for a row that is not repeatable. */
  readonly idempotencyKey: string | undefined;
  readonly row: EncodedRow;
  /** The length of the encoded row. */
  readonly characters: number;
}

/** The statement's result for a row. */
export interface RowOutcome {
  /** False if a running request holds its idempotency key. */
  readonly free: boolean;
  /** Whether it was written now. */
  readonly fresh: boolean;
}

/** Writes rows in one statement. Returns the outcomes by request id. `causes`: the callers' spans. */
export type WriteRows = (
  rows: readonly CoalescedRow[],
  causes: readonly SpanContext[],
) => Promise<ReadonlyMap<string, RowOutcome>>;

interface Waiting {
  readonly rows: readonly CoalescedRow[];
  readonly span: SpanContext | undefined;
  readonly resolve: (outcomes: ReadonlyMap<string, RowOutcome>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Coalesces writes of one kind and tenant. The first caller's statement is sent at once. While it runs, other callers wait,
 * and the next statement writes all their rows together. So a statement's costs (to start it, commit it and send it) are
 * shared: the busier a tenant is, the less a row costs. Only one statement runs at a time. Two at a time would each have
 * half of the rows, and the server and this process would need a fifth more time for a row.
 *
 * When the database refuses a statement, each caller's rows are written again separately, so that a fault affects only its
 * own caller. Rows with the same idempotency key never share a statement: they could not see each other in it.
 */
export class WriteCoalescer {
  readonly #write: WriteRows;
  readonly #onIdle: () => void;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(write: WriteRows, onIdle: () => void) {
    this.#write = write;
    this.#onIdle = onIdle;
  }

  /**
   * Writes one caller's rows, all or none. Rejects with the database's error for these rows, or when the database is
   * unavailable.
   */
  add(rows: readonly CoalescedRow[]): Promise<ReadonlyMap<string, RowOutcome>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ rows, span: activeSpan(), resolve, reject });
      this.#start();
    });
  }

  #start(): void {
    if (this.#running) return;
    if (this.#waiting.length === 0) {
      this.#onIdle();
      return;
    }
    this.#running = true;
    void this.#run(this.#take()).finally(() => {
      this.#running = false;
      this.#start();
    });
  }

  /** Takes the callers of the next statement, in order. A caller whose key is already taken stays for a later statement. */
  #take(): Waiting[] {
    const taken: Waiting[] = [];
    const left: Waiting[] = [];
    const keys = new Set<string>();
    let rows = 0;
    let characters = 0;
    for (const one of this.#waiting) {
      const length = one.rows.reduce((sum, row) => sum + row.characters, 0);
      const fits = rows + one.rows.length <= ROWS_MAX && characters + length <= CHARACTERS_MAX;
      const isRepeat = one.rows.some(
        (row) => row.idempotencyKey !== undefined && keys.has(row.idempotencyKey),
      );
      if (taken.length > 0 && (!fits || isRepeat)) {
        left.push(one);
        continue;
      }
      taken.push(one);
      rows += one.rows.length;
      characters += length;
      for (const { idempotencyKey } of one.rows) if (idempotencyKey !== undefined) keys.add(idempotencyKey);
    }
    this.#waiting = left;
    return taken;
  }

  async #run(callers: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#write(
        callers.flatMap(({ rows }) => rows),
        callers.flatMap(({ span }) => (span === undefined ? [] : [span])),
      );
      for (const { resolve } of callers) resolve(outcomes);
    } catch (error) {
      const fault = faultOf(error);
      // The database is unavailable: reject all waiting callers now, instead of one statement after the other.
      if (fault === 'unavailable') for (const { reject } of this.#waiting.splice(0)) reject(error);
      if (callers.length === 1 || fault === 'unavailable' || fault === 'contention') {
        for (const { reject } of callers) reject(error);
      } else for (const caller of callers) await this.#run([caller]);
    }
  }
}
