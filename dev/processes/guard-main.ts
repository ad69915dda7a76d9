import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { GuardMessage, GuardedProcess } from './guard.ts';
import { readProcessIdentity, signalIfSame } from './process-identity.ts';

// Started by guard.ts. When the process that started it ends, even by a kill, its standard input ends too.

const GRACE_MS = 8_000; // longer than a database's fast shutdown; then the remaining processes are killed
const POLL_MS = 50;

const guarded = new Map<number, GuardedProcess>();

function isAlive(entry: GuardedProcess): boolean {
  return readProcessIdentity(entry.pid) === entry.identity;
}

async function endAll(entries: GuardedProcess[]): Promise<void> {
  for (const entry of entries) {
    signalIfSame(entry.pid, entry.identity, entry.signal);
  }
  const deadline = Date.now() + GRACE_MS;
  while (entries.some(isAlive) && Date.now() < deadline) {
    await delay(POLL_MS);
  }
  for (const entry of entries) {
    signalIfSame(entry.pid, entry.identity, 'SIGKILL');
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  // Only guard.ts writes to this pipe.
  const message = JSON.parse(line) as GuardMessage;
  if ('add' in message) {
    guarded.set(message.add.pid, message.add);
  } else {
    guarded.delete(message.remove);
  }
});
lines.on('close', () => {
  void endAll([...guarded.values()]);
});
