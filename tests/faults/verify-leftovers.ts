import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readProcessIdentity } from '../../dev/processes/process-identity.ts';
import { until } from '../harness/app.ts';
import type { FaultStack } from './fault-stack.ts';
import { groupBy } from './group-by.ts';

/** A timer's run has a lock and a connection for a moment. */
const LEFT_S = 15;
/** The most connections of each pool, by its application name: the settings' defaults. */
const POOL_MAX: Readonly<Record<string, number>> = { app: 8, crossTenant: 6 };

interface Session {
  readonly application_name: string;
  readonly pid: number;
  readonly state: string;
  readonly client_port: number;
}

async function readSessions({ sql: { core } }: FaultStack): Promise<Session[]> {
  return core<Session[]>`
    select application_name, pid, state, client_port from pg_stat_activity where application_name like 'comply-ai:%'`;
}

/**
 * Checks that a fault leaves nothing behind: no advisory lock, no open transaction, no session of a dead host, no more
 * sessions than the pools allow. Fails after 15 s.
 */
export async function expectNothingLeft(faults: FaultStack): Promise<void> {
  await until(
    async () => {
      const sessions = await readSessions(faults);
      const locks = await faults.sql.core`
        select l.pid, l.database, l.objid, a.application_name from pg_locks l left join pg_stat_activity a using (pid)
         where l.locktype = 'advisory'`;
      const hosts = [faults.stack.host.pid ?? 0, ...(faults.besides ?? [])];
      const ports = new Set(hosts.flatMap((pid) => [...localPorts(pid)]));
      return {
        locks,
        open: sessions.filter((session) => session.state.startsWith('idle in transaction')),
        strangers: sessions.filter((session) => !ports.has(session.client_port)),
        crowded: [...groupBy(sessions, (session) => session.application_name)]
          .map(([name, all]) => ({ name, sessions: all.length }))
          .filter(
            ({ name, sessions: count }) =>
              count > (POOL_MAX[/-cross-tenant(@|$)/.test(name) ? 'crossTenant' : 'app'] ?? 0),
          ),
      };
    },
    (left) => Object.values(left).every((list) => list.length === 0),
    LEFT_S,
  );
}

/** The local ports of a process's TCP connections. */
function localPorts(pid: number): Set<number> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // closed meanwhile
    }
  }
  const ports = ['tcp', 'tcp6'].flatMap((family) =>
    readFileSync(`/proc/${pid}/net/${family}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => inodes.has(fields[9] ?? ''))
      .map((fields) => portOf(fields[1])),
  );
  return new Set(ports);
}

function portOf(address: string | undefined): number {
  return Number.parseInt(address?.split(':').at(-1) ?? '0', 16);
}

/** Checks, after the stack is stopped, that none of its processes lives, nor any process with its folder's name. Fails after 15 s. */
export async function expectNoProcess(faults: FaultStack): Promise<void> {
  await until(
    () =>
      Promise.resolve({ pids: [...faults.pids].filter(isAlive), others: findByFolder(faults.stack.folder) }),
    ({ pids, others }) => pids.length + others.length === 0,
    LEFT_S,
  );
}

function isAlive(pid: number): boolean {
  return readProcessIdentity(pid) !== undefined;
}

function findByFolder(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return command.includes(folder) ? [`${name} ${command}`] : [];
      } catch {
        return [];
      }
    });
}
