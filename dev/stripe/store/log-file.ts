import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { isKind, isStripeObject, reviveDecimals } from '../objects/kinds.ts';
import type { Kind, StripeObject } from '../objects/kinds.ts';

const FILE_NAME = 'stripe.jsonl';

const changeSchema = z.union([
  z.tuple([
    z.literal('put'),
    z
      .unknown()
      .transform((value) => reviveDecimals(value))
      .pipe(z.custom<StripeObject>(isStripeObject)),
  ]),
  z.tuple([
    z.literal('remove'),
    z.custom<Kind>((kind) => typeof kind === 'string' && isKind(kind)),
    z.string(),
  ]),
  z.tuple([z.literal('note'), z.string(), z.string(), z.unknown()]),
]);
const lineSchema = z.array(changeSchema);

/** One change: an object in its new state, an object gone, a note in its new state (null when gone). */
export type Change = z.infer<typeof changeSchema>;

function parseLine(line: string, number: number): Change[] {
  const parsed = lineSchema.safeParse(JSON.parse(line));
  if (!parsed.success) throw new Error(`line ${number} is none of this version's`);
  return parsed.data;
}

/** Writes all of it, also where the system takes it in parts. */
function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

/**
 * A file of changes, one line for what belongs together. A line without its end was never promised to anyone and is dropped.
 * Lines are handed to the operating system before the answer goes out: they survive the process, not a power cut.
 */
export class LogFile {
  readonly #path: string;
  #file: number | undefined;
  #length = 0;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#path = path.join(folder, FILE_NAME);
  }

  /** Every line in order. Throws at a broken line that is not the last: something else has written there. */
  read(): Change[][] {
    if (!existsSync(this.#path)) return [];
    const lines = readFileSync(this.#path, 'utf8').split('\n').slice(0, -1);
    return lines.map((line, index) => {
      try {
        return parseLine(line, index + 1);
      } catch (error) {
        throw new Error(`${this.#path} is damaged; npm start -- --fresh makes it new`, { cause: error });
      }
    });
  }

  /** Replaces the file by these lines, all or nothing, and opens it for more. */
  rewrite(lines: Iterable<readonly Change[]>): void {
    this.close();
    const next = `${this.#path}.new`;
    const file = openSync(next, 'w', 0o600);
    this.#length = 0;
    for (const line of lines) this.#length += this.#write(file, line);
    fsyncSync(file);
    renameSync(next, this.#path);
    this.#file = file;
  }

  /** Adds one line. Throws, and leaves no part of it, when it cannot be written. */
  append(line: readonly Change[]): void {
    if (this.#file === undefined) throw new Error('the log is closed');
    try {
      this.#length += this.#write(this.#file, line);
    } catch (error) {
      ftruncateSync(this.#file, this.#length);
      throw error;
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #write(file: number, line: readonly Change[]): number {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    writeAll(file, bytes);
    return bytes.length;
  }
}
