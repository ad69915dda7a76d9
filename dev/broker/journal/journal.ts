import { closeSync, mkdirSync, openSync } from 'node:fs';
import { frameEntry, journalPaths, replaceJournal, writeFully } from './journal-file.ts';
import { encodeEntry, type JournalEntry } from './journal-entries.ts';

// Rewriting a journal smaller than this saves too little.
const MIN_COMPACTION_BYTES = 8 * 1024 * 1024;

// The file is compacted when it is twice its live content. Each byte is then rewritten once on average.
const GROWTH_FACTOR = 2;

// Written by a compaction in one turn of the event loop: it takes about a millisecond, and no client is served meanwhile.
const COMPACTION_SLICE_BYTES = 512 * 1024;

/** All live state as entries. The state may change while they are read. */
export type Snapshot = () => Iterable<JournalEntry>;

interface Compaction {
  readonly fd: number;
  readonly entries: Iterator<JournalEntry>;
  bytes: number;
}

/**
 * The broker's state on disk: an append-only file. Entries appended in one turn of the event loop are written together at the
 * turn's end. After that the callbacks that answer clients run. A write that fails ends the process: an answer would be
 * wrong, and without one the memory would hold changes that the disk does not.
 */
export class Journal {
  readonly #dataDir: string | null;
  readonly #snapshot: Snapshot;
  #fd: number | null = null;
  #bytes = 0;
  #liveBytes = 0; // the file's size after its last compaction
  #pending: Buffer[] = [];
  #waiting: (() => void)[] = [];
  #turn: NodeJS.Immediate | null = null;
  #compaction: Compaction | null = null;
  #closed = false;

  /** Writes the snapshot as the new journal in `dataDir`, made if missing. Null: no file, but callbacks run at the same times. */
  constructor(dataDir: string | null, snapshot: Snapshot) {
    this.#dataDir = dataDir;
    this.#snapshot = snapshot;
    if (dataDir === null) return;
    mkdirSync(dataDir, { recursive: true });
    const compaction = this.#startCompaction(dataDir);
    while (this.#compactSlice(compaction));
    this.#finishCompaction(dataDir, compaction);
  }

  /** Adds an entry to the write at the end of this turn. */
  append(entry: JournalEntry): void {
    if (this.#fd === null) return;
    this.#pending.push(frameEntry(encodeEntry(entry)));
    this.#scheduleTurn();
  }

  /** Runs the callback after everything appended so far is written; never during this call. */
  afterWrite(callback: () => void): void {
    this.#waiting.push(callback);
    this.#scheduleTurn();
  }

  /** Writes pending entries now, for a change that must be on disk before the caller's next step. */
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

  /** Writes pending entries, runs the waiting callbacks, and accepts no more. */
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
    // Until the new file replaces the old one, entries are appended to both. This is safe: an entry holds a whole new state,
    // so it may come before or after the snapshot of its message.
    if (this.#compactSlice(this.#compaction)) this.#scheduleTurn();
    else this.#finishCompaction(this.#dataDir, this.#compaction);
  }

  #startCompaction(dataDir: string): Compaction {
    const fd = openSync(journalPaths(dataDir).next, 'w');
    return { fd, entries: this.#snapshot()[Symbol.iterator](), bytes: 0 };
  }

  /** Returns whether there is more. */
  #compactSlice(compaction: Compaction): boolean {
    // A snapshot entry may include a change whose own entry is still pending. That entry comes later and repeats it.
    const slice: Buffer[] = [];
    let bytes = 0;
    let more = true;
    while (more && bytes < COMPACTION_SLICE_BYTES) {
      const next = compaction.entries.next();
      more = next.done !== true;
      if (next.done === true) break;
      const framed = frameEntry(encodeEntry(next.value));
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
