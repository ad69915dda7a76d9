import { faultOf } from '../db/errors.ts';
import type { EncodedRow } from '../db/recordset.ts';

/** Rows in one statement at the most: beyond this a row costs no less, and each waits longer for the others. */
const ROWS_MAX = 32;
/** Characters of rows in one statement, unless one caller's alone are more: the server reads and keeps it all at once. */
const CHARACTERS_MAX = 512 * 1024;
/** A row ready to be written. */
export interface CoalescedRow {
  readonly requestId: string;
  /** Undefined for a row that is not repeatable. */
  readonly idempotencyKey: string | undefined;
  readonly row: EncodedRow;
  /** Of the encoded row. */
  readonly characters: number;
}

/** What the statement says of a row. */
export interface RowOutcome {
  /** False where its idempotency key is held by a request that still runs. */
  readonly free: boolean;
  /** Whether it was written now. */
  readonly fresh: boolean;
}

/** Writes rows in one statement; answers by request id. */
export type WriteRows = (rows: readonly CoalescedRow[]) => Promise<ReadonlyMap<string, RowOutcome>>;

interface Waiting {
  readonly rows: readonly CoalescedRow[];
  readonly resolve: (outcomes: ReadonlyMap<string, RowOutcome>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes of one kind and tenant, each caller's in a statement with those of others that came while the last one ran. It
 * waits for nobody: the first caller's statement is sent at once. A statement's costs (to start it, to commit it, to
 * send it) are then shared by its rows, and the busier a tenant is, the more. One statement at a time: with two at once each
 * has half of the rows, and the server and this process take a fifth more time for a row.
 *
 * What the database refuses is written once more, each caller's rows on their own, so that nobody is refused for
 * another's fault. Rows with the same idempotency key never share a statement, in which they could not see each other.
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

  /** Writes one caller's rows, all or none. Rejects with what the database said of these rows, or that it is away. */
  add(rows: readonly CoalescedRow[]): Promise<ReadonlyMap<string, RowOutcome>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ rows, resolve, reject });
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

  /** The callers of the next statement, in their order; one whose key another has stays for the next but one. */
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
      const outcomes = await this.#write(callers.flatMap(({ rows }) => rows));
      for (const { resolve } of callers) resolve(outcomes);
    } catch (error) {
      const fault = faultOf(error);
      // With the database away, those who wait would wait in vain, one statement after the other.
      if (fault === 'unavailable') for (const { reject } of this.#waiting.splice(0)) reject(error);
      if (callers.length === 1 || fault === 'unavailable' || fault === 'contention') {
        for (const { reject } of callers) reject(error);
      } else for (const caller of callers) await this.#run([caller]);
    }
  }
}
