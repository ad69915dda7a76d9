import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildApp } from '../../dev/stack/build-app.ts';
import { startHostChild } from '../../dev/stack/start-host-child.ts';
import { findNextFreePort } from '../../dev/processes/free-port.ts';
import type { Settings } from '../../shared/platform/config/settings.ts';
import { benchFolder, type BenchStack } from '../bench-stack.ts';
import { timeDrain, type Drain } from '../time-drain.ts';

const ENTRY = fileURLToPath(new URL('idle-app.ts', import.meta.url));
const FIRST_PORT = 17_171;

let idleApp: Promise<string> | undefined;

/**
 * Events a second from broker, SDK and trigger to functions that do nothing, on the same machine. A real consumer cannot be
 * faster. The stack's own hosts must be stopped.
 */
export async function measureFloor(
  bench: BenchStack,
  settings: Settings,
  instances: number,
  drain: Pick<Drain, 'kind' | 'events' | 'packing' | 'warmUpShare'>,
): Promise<number> {
  idleApp ??= buildApp(path.join(benchFolder(), 'idle'), ENTRY);
  const appDir = await idleApp;
  const hosts: Awaited<ReturnType<typeof startHostChild>>[] = [];
  const startOne = async (_: unknown, n: number): Promise<void> => {
    const port = await findNextFreePort(FIRST_PORT + 10 * n);
    const stateDir = path.join(benchFolder(), `idle-${n}`);
    const logFile = path.join(bench.stack.folder, 'logs', `idle-${n}.log`);
    hosts.push(await startHostChild({ appDir, settings: bench.stack.settings, port, stateDir, logFile }));
  };
  try {
    const start = (): Promise<unknown> => Promise.all(Array.from({ length: instances }, startOne));
    return (await timeDrain(settings, { ...drain, start })).perSecond;
  } finally {
    await Promise.all(hosts.map((host) => host.stop()));
  }
}
