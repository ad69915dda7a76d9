import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ServiceBusClient } from '@azure/service-bus';
import { buildApp } from '../../dev/stack/build-app.ts';
import { startHostChild } from '../../dev/stack/start-host-child.ts';
import { findNextFreePort } from '../../dev/stack/processes/free-port.ts';
import type { Settings } from '../../shared/config/settings.ts';
import { benchFolder, type BenchStack } from '../bench-stack.ts';
import { fillQueue, type EventKind } from '../fill-queue.ts';

const ENTRY = fileURLToPath(new URL('idle-app.ts', import.meta.url));
const FIRST_PORT = 17_171;
const POLL_MS = 50;
const DRAIN_TIMEOUT_MS = 120_000;

let idleApp: Promise<string> | undefined;

/** What is asked of {@link measureFloor}. */
export interface FloorOptions {
  readonly kind: EventKind;
  readonly events: number;
  readonly instances: number;
  /** The share of the events that warms the hosts up. */
  readonly warmUpShare: number;
}

/**
 * Events a second that broker, SDK and trigger hand to functions that do nothing with them, on the same machine: no
 * consumer in this place can be faster. The stack's own hosts must be down.
 */
export async function measureFloor(
  bench: BenchStack,
  settings: Settings,
  { kind, events, instances, warmUpShare }: FloorOptions,
): Promise<number> {
  idleApp ??= buildApp(path.join(benchFolder(), 'idle'), ENTRY);
  const appDir = await idleApp;
  const bus = new ServiceBusClient(settings.SERVICE_BUS_CONNECTION ?? '');
  const receiver = bus.createReceiver(`${kind}-events`);
  await fillQueue(settings, kind, events);
  const [oldest] = await receiver.peekMessages(1);
  const begin = oldest?.sequenceNumber;
  if (begin === undefined) throw new Error('the queue is empty');
  /** Messages before the first one that is not settled. */
  const countSettled = async (): Promise<number> => {
    const [first] = await receiver.peekMessages(1, { fromSequenceNumber: begin });
    return first?.sequenceNumber?.subtract(begin).toNumber() ?? events;
  };
  const hosts = await Promise.all(
    Array.from({ length: instances }, async (_, n) =>
      startHostChild({
        appDir,
        settings: bench.stack.settings,
        port: await findNextFreePort(FIRST_PORT + 10 * n),
        stateDir: path.join(benchFolder(), `idle-${n}`),
        logFile: path.join(bench.stack.folder, 'logs', `idle-${n}.log`),
      }),
    ),
  );
  try {
    const deadline = Date.now() + DRAIN_TIMEOUT_MS;
    let warm: { readonly at: number; readonly settled: number } | undefined;
    for (;;) {
      const settled = await countSettled();
      const now = performance.now();
      if (warm === undefined && settled >= events * warmUpShare) warm = { at: now, settled };
      if (warm !== undefined && settled >= events) return (events - warm.settled) / ((now - warm.at) / 1000);
      if (Date.now() > deadline) throw new Error(`${settled} of ${events} events were settled in time`);
      await delay(POLL_MS);
    }
  } finally {
    await Promise.all(hosts.map((host) => host.stop()));
    await receiver.close();
    await bus.close();
  }
}
