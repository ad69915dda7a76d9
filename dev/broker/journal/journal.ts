import { closeSync, mkdirSync, openSync } from 'node:fs';
import { frameRecord, journalPaths, replaceJournal, writeFully } from './journal-file.ts';
import { encodeRecord, type JournalRecord } from './journal-records.ts';

// A journal smaller than this is not worth rewriting, whatever part of it is still live.
const MIN_COMPACTION_BYTES = 8 * 1024 * 1024;

// Compaction is due when the file has grown by its live content again: each byte is then rewritten once on average.
const GROWTH_FACTOR = 2;

// What a compaction writes between two turns of the event loop: about a millisecond during which no client is served.
const COMPACTION_SLICE_BYTES = 512 * 1024;

/** All live state as records; it may be read slowly while the state keeps changing. */
export type Snapshot = () => Iterable<JournalRecord>;

interface Compaction {
  readonly fd: number;
  readonly records: Iterator<JournalRecord>;
  bytes: number;
}

/**
 * The broker's state on disk: an append-only file. Records appended in one turn of the event loop go out in one
 * write at the turn's end, and only then run the callbacks that answer clients. A write that fails ends the
 * process: answering would be wrong, and not answering would leave memory ahead of the disk.
 */
export class Journal {
  readonly #dataDir: string | null;
  readonly #snapshot: Snapshot;
  #fd: number | null = null;
  #bytes = 0;
  #liveBytes = 0; // of the file when it was last compacted
  #pending: Buffer[] = [];
  #waiting: (() => void)[] = [];
  #turn: NodeJS.Immediate | null = null;
  #compaction: Compaction | null = null;
  #closed = false;

  /** Writes the snapshot as the new journal in `dataDir`, made if missing; null keeps no file, with the same timing. */
  constructor(dataDir: string | null, snapshot: Snapshot) {
    this.#dataDir = dataDir;
    this.#snapshot = snapshot;
    if (dataDir === null) return;
    mkdirSync(dataDir, { recursive: true });
    const compaction = this.#startCompaction(dataDir);
    while (this.#compactSlice(compaction));
    this.#finishCompaction(dataDir, compaction);
  }

  /** Adds a record to the write at the end of this turn. */
  append(record: JournalRecord): void {
    if (this.#fd === null) return;
    this.#pending.push(frameRecord(encodeRecord(record)));
    this.#scheduleTurn();
  }

  /** Runs the callback once everything appended so far is written, in any case in a later phase of the event loop. */
  afterWrite(callback: () => void): void {
    this.#waiting.push(callback);
    this.#scheduleTurn();
  }

  /** Writes now what was appended, for a change that must be on disk before what the caller does next. */
  writeNow(): void {
    if (this.#fd === null || this.#pending.length === 0) return;
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    writeFully(this.#fd, bytes);
    this.#bytes += bytes.length;
    if (this.#compaction === null) return;
    writeFully(this.#compaction.fd, bytes);
    this.#compaction.bytes += bytes.length;
  }

  /** Writes what is pending, runs the waiting callbacks, and accepts nothing more. */
  close(): void {
    if (this.#closed) return;
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turnEnd();
    this.writeNow();
    this.#closed = true;
    if (this.#compaction !== null) closeSync(this.#compaction.fd);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #scheduleTurn(): void {
    if (this.#closed) return;
    this.#turn ??= setImmediate(() => {
      this.#turnEnd();
      this.#compact();
    });
  }

  #turnEnd(): void {
    this.#turn = null;
    this.writeNow();
    const callbacks = this.#waiting;
    this.#waiting = [];
    for (const callback of callbacks) callback();
  }

  #compact(): void {
    if (this.#dataDir === null || this.#closed) return;
    if (this.#compaction === null) {
      if (this.#bytes < Math.max(MIN_COMPACTION_BYTES, GROWTH_FACTOR * this.#liveBytes)) return;
      this.#compaction = this.#startCompaction(this.#dataDir);
    }
    // From here until the file changes places, what is appended goes into both: a record means the same wherever
    // it stands after the state it speaks of, and what it speaks of may also come later, already changed.
    if (this.#compactSlice(this.#compaction)) this.#scheduleTurn();
    else this.#finishCompaction(this.#dataDir, this.#compaction);
  }

  #startCompaction(dataDir: string): Compaction {
    const fd = openSync(journalPaths(dataDir).next, 'w');
    return { fd, records: this.#snapshot()[Symbol.iterator](), bytes: 0 };
  }

  /** Returns whether there is more. */
  #compactSlice(compaction: Compaction): boolean {
    // A record drawn now shows changes whose own records are still pending; they come after it, and say the same again.
    const slice: Buffer[] = [];
    let bytes = 0;
    let more = true;
    while (more && bytes < COMPACTION_SLICE_BYTES) {
      const next = compaction.records.next();
      more = next.done !== true;
      if (next.done === true) break;
      const framed = frameRecord(encodeRecord(next.value));
      slice.push(framed);
      bytes += framed.length;
    }
    writeFully(compaction.fd, Buffer.concat(slice));
    compaction.bytes += bytes;
    return more;
  }

  #finishCompaction(dataDir: string, compaction: Compaction): void {
    this.writeNow();
    replaceJournal(dataDir, compaction.fd);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = compaction.fd;
    this.#bytes = compaction.bytes;
    this.#liveBytes = compaction.bytes;
    this.#compaction = null;
  }
}
