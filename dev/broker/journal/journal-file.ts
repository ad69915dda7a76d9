import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';

const FRAME_BYTES = 8; // length and CRC-32 of the entry that follows
const CHUNK_BYTES = 1024 * 1024; // far larger than most entries, small beside the broker's memory
const MAX_ENTRY_BYTES = 16 * 1024 * 1024; // far above any message: a greater length means damage

/** The paths of the journal, and of the one that a compaction is writing. */
export function journalPaths(dataDir: string): { current: string; next: string } {
  return { current: path.join(dataDir, 'journal'), next: path.join(dataDir, 'journal.next') };
}

/** An entry's bytes in the file. */
export function frameEntry(entry: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(FRAME_BYTES + entry.length);
  framed.writeUInt32BE(entry.length, 0);
  framed.writeUInt32BE(crc32(entry), 4);
  entry.copy(framed, FRAME_BYTES);
  return framed;
}

/** Writes all bytes into the operating system's cache. They survive the end of the process, but not a power cut. */
export function writeFully(fd: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.length;) offset += writeSync(fd, bytes, offset);
}

/** Flushes the finished file to the disk and replaces the current one with it. */
export function replaceJournal(dataDir: string, nextFd: number): void {
  const { current, next } = journalPaths(dataDir);
  fsyncSync(nextFd);
  renameSync(next, current);
  const directory = openSync(dataDir, 'r');
  fsyncSync(directory);
  closeSync(directory);
}

function openIfPresent(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function readFrame(buffer: Buffer, offset: number): Buffer | 'incomplete' | 'damaged' {
  const present = buffer.length - offset;
  if (present < FRAME_BYTES) return 'incomplete';
  const length = buffer.readUInt32BE(offset);
  if (length === 0 || length > MAX_ENTRY_BYTES) return 'damaged';
  if (present < FRAME_BYTES + length) return 'incomplete';
  const entry = buffer.subarray(offset + FRAME_BYTES, offset + FRAME_BYTES + length);
  return crc32(entry) === buffer.readUInt32BE(offset + 4) ? entry : 'damaged';
}

/**
 * The entries of the journal in order; none when there is no journal. An entry cut off at the file's end comes from a killed
 * process. No client got an answer for it, so it is left out. Throws on any other damage: the entries after it would be lost.
 * Also removes the file of an unfinished compaction.
 */
export function* readJournal(dataDir: string): Generator<Buffer> {
  const { current, next } = journalPaths(dataDir);
  rmSync(next, { force: true });
  const fd = openIfPresent(current);
  if (fd === null) return;
  try {
    let buffer = Buffer.alloc(0);
    let offset = 0;
    let fileOffset = 0; // of the buffer's start
    for (;;) {
      const frame = readFrame(buffer, offset);
      if (frame === 'damaged') {
        throw new Error(
          `${current} is damaged at byte ${String(fileOffset + offset)}; move it away to start empty`,
        );
      }
      if (frame !== 'incomplete') {
        yield frame;
        offset += FRAME_BYTES + frame.length;
        continue;
      }
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const read = readSync(fd, chunk, 0, CHUNK_BYTES, null);
      if (read === 0) return;
      buffer = Buffer.concat([buffer.subarray(offset), chunk.subarray(0, read)]);
      fileOffset += offset;
      offset = 0;
    }
  } finally {
    closeSync(fd);
  }
}
