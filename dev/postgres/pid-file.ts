import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { worksInFolder } from './account.ts';
import { readCommandLine, readProcessIdentity, signalIfSame } from '../processes/process-identity.ts';

const PID_LINE = 0;
const STATUS_LINE = 7;
const POLL_MS = 20;
const FAST_SHUTDOWN_MS = 5_000;
const IMMEDIATE_SHUTDOWN_MS = 3_000;

function readLines(dataDir: string): string[] | undefined {
  try {
    return readFileSync(path.join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined;
  }
}

/** Whether the server's pid file says that the server with this pid accepts connections. */
export function isServerReady(dataDir: string, pid: number): boolean {
  const lines = readLines(dataDir);
  return Number(lines?.[PID_LINE]) === pid && (lines?.[STATUS_LINE] ?? '').trim() === 'ready';
}

async function waitUntilGone(pid: number, identity: string, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (readProcessIdentity(pid) === identity) {
    if (Date.now() > deadline) {
      return false;
    }
    await delay(POLL_MS);
  }
  return true;
}

/**
 * Prepares the data for a new server: ends a server that a killed stack left running on it, and removes its pid file when
 * that pid now belongs to another process. PostgreSQL would refuse to start in both cases.
 */
export async function clearStaleServer(dataDir: string): Promise<void> {
  const pid = Number(readLines(dataDir)?.[PID_LINE]);
  if (!Number.isInteger(pid) || pid <= 0) {
    return;
  }
  const identity = readProcessIdentity(pid);
  const command = readCommandLine(pid) ?? '';
  const isOnThisData = command.includes(dataDir) || worksInFolder(pid, dataDir);
  if (identity !== undefined && command.includes('postgres') && isOnThisData) {
    signalIfSame(pid, identity, 'SIGINT');
    if (!(await waitUntilGone(pid, identity, FAST_SHUTDOWN_MS))) {
      signalIfSame(pid, identity, 'SIGQUIT');
      if (!(await waitUntilGone(pid, identity, IMMEDIATE_SHUTDOWN_MS))) {
        signalIfSame(pid, identity, 'SIGKILL');
      }
    }
    return;
  }
  rmSync(path.join(dataDir, 'postmaster.pid'), { force: true });
}
