import type { z } from 'zod';
import { idOf, isOfKind } from '../objects/kinds.ts';
import type { Kind, ObjectOf, StripeObject } from '../objects/kinds.ts';
import { LogFile } from './log-file.ts';
import type { Change } from './log-file.ts';
import { Shelf } from './shelf.ts';

/** Facts of the stand-in's own that no Stripe object holds: what a card does, a delivery's attempts. Each part defines its kinds. */
export interface NoteKind<T> {
  readonly name: string;
  readonly schema: z.ZodType<T>;
}

interface Step {
  readonly change: Change;
  readonly isNew: boolean;
  undo(): void;
}

/** Frozen, because a change that no `put` tells of would be lost by a restart and by a rollback. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner);
}

/** Everything that the stand-in knows. It is in memory, and each transaction is one line of a file, so that it survives a kill. */
export class Store {
  readonly #log: LogFile;
  readonly #shelves = new Map<Kind, Shelf>();
  readonly #removed = new Map<Kind, Set<string>>();
  readonly #notes = new Map<string, Map<string, unknown>>();
  #steps: Step[] | undefined;

  /** Reads what the folder holds and writes it again, without what is outdated. One store at a time may use a folder. */
  constructor(folder: string) {
    this.#log = new LogFile(folder);
    for (const line of this.#log.read()) for (const change of line) this.#apply(change);
    this.#log.rewrite(this.#snapshot());
  }

  get<K extends Kind>(kind: K, id: string): ObjectOf<K> | undefined {
    const found = this.#shelf(kind).get(id);
    return found !== undefined && isOfKind(found, kind) ? found : undefined;
  }

  /** The newest first. */
  list<K extends Kind>(kind: K, keep: (object: ObjectOf<K>) => boolean = () => true): ObjectOf<K>[] {
    const found: ObjectOf<K>[] = [];
    for (const object of this.#shelf(kind).oldestFirst())
      if (isOfKind(object, kind) && keep(object)) found.push(object);
    return found.reverse();
  }

  /** True for an object that was there and was removed. */
  isRemoved(kind: Kind, id: string): boolean {
    return this.#removedOf(kind).has(id);
  }

  /** Stores an object in its new state and freezes it. A change is a new object: `put({ ...customer, name })`. */
  put(object: StripeObject): void {
    this.#step(['put', object], this.#shelf(object.object).get(idOf(object)) === undefined);
  }

  remove(kind: Kind, id: string): void {
    if (this.#shelf(kind).get(id) !== undefined) this.#step(['remove', kind, id], false);
  }

  getNote<T>(kind: NoteKind<T>, id: string): T | undefined {
    const value = this.#notes.get(kind.name)?.get(id);
    return value === undefined ? undefined : kind.schema.parse(value);
  }

  /** In the order in which they were first put. */
  listNotes<T>(kind: NoteKind<T>): [id: string, note: T][] {
    return [...(this.#notes.get(kind.name) ?? [])].map(([id, value]) => [id, kind.schema.parse(value)]);
  }

  /** Stores a note in its new state; null removes it. A note is JSON. */
  putNote<T>(kind: NoteKind<T>, id: string, note: T | null): void {
    this.#step(['note', kind.name, id, note], false);
  }

  /**
   * Runs something that puts, and writes all of it as one line; whatever it throws undoes all of it. Returns its result and the
   * objects that are new. It cannot wait for anything, so nothing comes between.
   */
  transact<T>(run: () => T): { result: T; created: StripeObject[] } {
    if (this.#steps !== undefined) throw new Error('a transaction is open already');
    this.#steps = [];
    try {
      const result = run();
      const steps = this.#steps;
      if (steps.length > 0) this.#log.append(steps.map(({ change }) => change));
      const created = steps.flatMap(({ change, isNew }) => (isNew && change[0] === 'put' ? [change[1]] : []));
      return { result, created };
    } catch (error) {
      this.rollBackTo(0);
      throw error;
    } finally {
      this.#steps = undefined;
    }
  }

  /** Where the open transaction stands, for `rollBackTo`. */
  savepoint(): number {
    return this.#steps?.length ?? 0;
  }

  rollBackTo(savepoint: number): void {
    const undone = this.#steps?.splice(savepoint) ?? [];
    for (const step of undone.reverse()) step.undo();
  }

  /** Forgets everything, on disk too. */
  clear(): void {
    this.#shelves.clear();
    this.#removed.clear();
    this.#notes.clear();
    this.#log.rewrite([]);
  }

  close(): void {
    this.#log.close();
  }

  #shelf(kind: Kind): Shelf {
    let shelf = this.#shelves.get(kind);
    if (shelf === undefined) this.#shelves.set(kind, (shelf = new Shelf()));
    return shelf;
  }

  #removedOf(kind: Kind): Set<string> {
    let removed = this.#removed.get(kind);
    if (removed === undefined) this.#removed.set(kind, (removed = new Set()));
    return removed;
  }

  #step(change: Change, isNew: boolean): void {
    if (this.#steps === undefined) throw new Error('changes need a transaction');
    this.#steps.push({ change, isNew, undo: this.#apply(change) });
  }

  /** Returns what undoes it. */
  #apply(change: Change): () => void {
    switch (change[0]) {
      case 'put':
        return this.#applyPut(change[1]);
      case 'remove':
        return this.#applyRemove(change[1], change[2]);
      case 'note':
        return this.#applyNote(change[1], change[2], change[3]);
    }
  }

  #applyPut(object: StripeObject): () => void {
    freeze(object);
    const removed = this.#removedOf(object.object);
    const wasRemoved = removed.delete(idOf(object));
    const undo = this.#shelf(object.object).put(object);
    return () => {
      undo();
      if (wasRemoved) removed.add(idOf(object));
    };
  }

  #applyRemove(kind: Kind, id: string): () => void {
    const removed = this.#removedOf(kind);
    const undo = this.#shelf(kind).remove(id);
    removed.add(id);
    return () => {
      undo();
      removed.delete(id);
    };
  }

  #applyNote(name: string, id: string, value: unknown): () => void {
    let notes = this.#notes.get(name);
    if (notes === undefined) this.#notes.set(name, (notes = new Map<string, unknown>()));
    freeze(value);
    const before = notes.get(id);
    if (value === null) notes.delete(id);
    else notes.set(id, value);
    return () => {
      this.#applyNote(name, id, before ?? null);
    };
  }

  *#snapshot(): Generator<Change[]> {
    for (const shelf of this.#shelves.values())
      for (const object of shelf.oldestFirst()) yield [['put', object]];
    for (const [kind, ids] of this.#removed) for (const id of ids) yield [['remove', kind, id]];
    for (const [name, notes] of this.#notes)
      for (const [id, value] of notes) yield [['note', name, id, value]];
  }
}
