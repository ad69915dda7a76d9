import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readJournal } from './journal-file.ts';
import { Journal } from './journal.ts';
import { decodeEntry, type JournalEntry } from './journal-entries.ts';
import { temporaryFolder, waitFor } from '../test-broker.ts';

function entry(sequence: number): JournalEntry {
  return { kind: 'remove', queue: 1, dead: false, sequence };
}

function sequences(dataDir: string): number[] {
  return [...readJournal(dataDir)].map((bytes) => {
    const read = decodeEntry(bytes);
    return 'sequence' in read ? read.sequence : NaN;
  });
}

function openJournal(dataDir: string, live: readonly JournalEntry[] = []): Journal {
  const journal = new Journal(dataDir, () => live);
  onTestFinished(() => {
    journal.close();
  });
  return journal;
}

test('a callback runs once what was appended before it can be read back', async () => {
  const dataDir = temporaryFolder();
  const journal = openJournal(dataDir, [entry(1)]);
  journal.append(entry(2));
  const read = await new Promise<number[]>((resolve) => {
    journal.afterWrite(() => {
      resolve(sequences(dataDir));
    });
    journal.append(entry(3));
    expect(sequences(dataDir)).toEqual([1]);
  });
  expect(read).toEqual([1, 2, 3]);
});

test('an entry cut off at the end is left out, the ones before it are not', () => {
  const dataDir = temporaryFolder();
  const file = path.join(dataDir, 'journal');
  openJournal(dataDir, [entry(1), entry(2)]).close();
  const { size } = statSync(file);
  const whole = readFileSync(file);
  for (let length = size - 1; length > size / 2; length -= 1) {
    truncateSync(file, length);
    expect(sequences(dataDir)).toEqual([1]);
  }
  writeFileSync(file, whole);
  expect(sequences(dataDir)).toEqual([1, 2]);
});

test('damage anywhere else is an error that says where', () => {
  const dataDir = temporaryFolder();
  const file = path.join(dataDir, 'journal');
  openJournal(dataDir, [entry(1), entry(2)]).close();
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(10) ^ 1, 10);
  writeFileSync(file, bytes);
  expect(() => sequences(dataDir)).toThrow('damaged at byte 0');
  bytes.writeUInt8(bytes.readUInt8(10) ^ 1, 10);
  writeFileSync(file, bytes);
  appendFileSync(file, Buffer.alloc(64));
  expect(() => sequences(dataDir)).toThrow(`damaged at byte ${String(bytes.length)}`);
});

test('what an unfinished compaction left is ignored', () => {
  const dataDir = temporaryFolder();
  openJournal(dataDir, [entry(1)]).close();
  writeFileSync(path.join(dataDir, 'journal.next'), 'half');
  expect(sequences(dataDir)).toEqual([1]);
});

test('a journal many times larger than its live content shrinks, and keeps the entries added meanwhile', async () => {
  const dataDir = temporaryFolder();
  const live = Array.from({ length: 30_000 }, (_, index) => entry(index)); // several slices
  const journal = openJournal(dataDir, live);
  const file = path.join(dataDir, 'journal');
  let next = 1_000_000;
  let largest = 0;
  await waitFor('a compaction', () => {
    for (let count = 0; count < 20_000; count += 1) journal.append(entry(next++));
    const { size } = statSync(file);
    const shrunk = size < largest;
    largest = size;
    return shrunk;
  });
  journal.append(entry(next));
  journal.close();
  const read = sequences(dataDir);
  expect(read.filter((sequence) => sequence < 30_000)).toHaveLength(30_000);
  expect(read.at(-1)).toBe(next);
});
