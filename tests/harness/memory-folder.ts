import { accessSync, constants, readFileSync, statfsSync } from 'node:fs';

/** Linux's file system in memory. */
const MEMORY_FOLDER = '/dev/shm';
/** Several times the temporary data of a run at its peak, with three servers side by side (1.2 GB). */
const ROOM_BYTES = 6e9;
/** The data is memory, and the processes need theirs. */
const MEMORY_BYTES = 10e9;

/** Whether programs may be started from a folder: some containers forbid it there. */
function mayRunPrograms(folder: string): boolean {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const options = mounts.map((line) => line.split(' ')).findLast(([, place]) => place === folder)?.[3];
  return options !== undefined && !options.split(',').includes('noexec');
}

/**
 * A folder in memory for a run's temporary data, or undefined if this machine has none that is large enough. A test file's three
 * databases are 1,500 files: on a disk, making them takes up to a second, in memory a tenth of it.
 */
export function findMemoryFolder(): string | undefined {
  try {
    accessSync(MEMORY_FOLDER, constants.R_OK | constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER);
    if (bavail * bsize < ROOM_BYTES || process.availableMemory() < MEMORY_BYTES) return undefined;
    return mayRunPrograms(MEMORY_FOLDER) ? MEMORY_FOLDER : undefined;
  } catch {
    return undefined; // another system
  }
}
