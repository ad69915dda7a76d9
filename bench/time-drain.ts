import { setTimeout as delay } from 'node:timers/promises';
import { ServiceBusClient } from '@azure/service-bus';
import type { Settings } from '../shared/platform/config/settings.ts';
import { fillQueue, type EventKind, type Packing } from './fill-queue.ts';

const POLL_MS = 50;
const DRAIN_TIMEOUT_MS = 180_000;

/** A queue to fill, and consumers to drain it. */
export interface Drain {
  readonly kind: EventKind;
  readonly events: number;
  readonly packing: Packing;
  /** The share of the events that warms the consumers up and does not count. */
  readonly warmUpShare: number;
  /** Starts the consumers. Called when the queue is full. */
  readonly start: () => Promise<unknown>;
  /** Called when the consumers are warm. */
  readonly onWarm?: () => void;
}

/**
 * Fills a queue, then starts its consumers. Returns how many events a second they settled, from the end of the warm-up to the
 * last event. It asks the broker what is settled, so that the database has no extra work.
 */
export async function timeDrain(
  settings: Settings,
  { kind, events, packing, warmUpShare, start, onWarm }: Drain,
): Promise<{ readonly perSecond: number; readonly measured: number }> {
  const messages = await fillQueue(settings, kind, events, packing);
  const bus = new ServiceBusClient(settings.SERVICE_BUS_CONNECTION ?? '');
  try {
    const receiver = bus.createReceiver(`${kind}-events`);
    const [oldest] = await receiver.peekMessages(1);
    const begin = oldest?.sequenceNumber;
    if (begin === undefined) throw new Error('the queue is empty');
    /** Events in the messages before the first unsettled one. All messages have about the same number of events. */
    const countSettled = async (): Promise<number> => {
      const [first] = await receiver.peekMessages(1, { fromSequenceNumber: begin });
      const settled = first?.sequenceNumber?.subtract(begin).toNumber() ?? messages;
      return (settled / messages) * events;
    };
    await start();
    const deadline = Date.now() + DRAIN_TIMEOUT_MS;
    let warm: { readonly at: number; readonly settled: number } | undefined;
    for (;;) {
      const settled = await countSettled();
      const now = performance.now();
      if (warm === undefined && settled >= events * warmUpShare) {
        warm = { at: now, settled };
        onWarm?.();
      }
      if (warm !== undefined && settled >= events) {
        const measured = events - warm.settled;
        return { perSecond: measured / ((now - warm.at) / 1000), measured };
      }
      if (Date.now() > deadline) throw new Error(`${settled} of ${events} events were settled in time`);
      await delay(POLL_MS);
    }
  } finally {
    await bus.close();
  }
}
