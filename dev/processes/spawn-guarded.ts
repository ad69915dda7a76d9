import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { guardProcess } from './guard.ts';

/**
 * Starts a process that ends with this one (see guard.ts). It has its own session, so a Ctrl-C in the terminal does not reach
 * it: this process ends its children itself, in the right order. Throws when it cannot be started.
 */
export async function spawnGuarded(
  command: string,
  args: string[],
  options: SpawnOptions,
  stopSignal: NodeJS.Signals,
): Promise<ChildProcess> {
  const child = spawn(command, args, { ...options, detached: true });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  if (child.pid !== undefined) {
    const release = guardProcess(child.pid, stopSignal);
    child.once('exit', release);
  }
  return child;
}
