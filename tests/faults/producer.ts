import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ServiceBusClient, type ServiceBusMessage } from '@azure/service-bus';
import { AUDIT_RECORDED, USAGE_RECORDED } from '../../shared/platform/bus/events.ts';
import type { Ledger, SentMessage } from './ledger.ts';
import type { LoadTenant } from './load.ts';
import type { Random } from './random.ts';

/** The source and usage type of another service's events. */
export const PRODUCER_SOURCE = '/another/service';
export const PRODUCER_USAGE = 'producer_probe';

const ROUND_MS = 250;
const MESSAGES_A_ROUND = 4;
/** One message in twelve cannot be processed. */
const BAD_ONE_IN = 12;
/** How long an unacknowledged message is retried after the end. */
const LAST_WORD_MS = 20_000;

/**
 * Another service that sends usage and audit events, some of them faulty. Each is sent under one message id until the broker
 * has acknowledged it.
 */
export class Producer {
  readonly #connectionString: string;
  readonly #tenants: readonly [LoadTenant, ...LoadTenant[]];
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #done: Promise<void>;
  #stopped = false;

  constructor(options: {
    connectionString: string;
    tenants: readonly [LoadTenant, ...LoadTenant[]];
    ledger: Ledger;
    random: Random;
  }) {
    this.#connectionString = options.connectionString;
    this.#tenants = options.tenants;
    this.#ledger = options.ledger;
    this.#random = options.random;
    this.#done = this.#run();
    this.#done.catch(() => undefined); // `stop` rejects with it
  }

  /** Resolves when all messages are acknowledged. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const messages = Array.from({ length: MESSAGES_A_ROUND }, () => this.#message());
      await this.#sendAll(messages);
      this.#ledger.messages.push(...messages.map(({ sent }) => sent));
      await delay(ROUND_MS);
    }
  }

  async #sendAll(messages: readonly { sent: SentMessage; message: ServiceBusMessage }[]): Promise<void> {
    const left = new Set(messages);
    const giveUp = performance.now() + LAST_WORD_MS;
    while (left.size > 0) {
      const bus = new ServiceBusClient(this.#connectionString, {
        retryOptions: { maxRetries: 0, timeoutInMs: 2_000 },
      });
      try {
        for (const one of left) {
          const sender = bus.createSender(one.sent.queue);
          await sender.sendMessages(one.message);
          left.delete(one);
          await sender.close();
        }
      } catch (error) {
        if (performance.now() > giveUp) throw error;
        await delay(200);
      } finally {
        await Promise.race([bus.close().catch(() => undefined), delay(500)]);
      }
    }
  }

  #message(): { sent: SentMessage; message: ServiceBusMessage } {
    const { tenantId } = this.#random.pick(this.#tenants);
    const queue = this.#random.pick(['usage-events', 'audit-events'] as const);
    const valid = this.#random.between(1, BAD_ONE_IN) > 1;
    const id = randomUUID();
    const event = {
      specversion: '1.0',
      id,
      source: PRODUCER_SOURCE,
      type: queue === 'usage-events' ? USAGE_RECORDED : AUDIT_RECORDED,
      time: new Date().toISOString(),
      data:
        queue === 'usage-events'
          ? { tenant_id: tenantId, usage_type: PRODUCER_USAGE, usage_amount: 1 }
          : { tenant_id: tenantId, action: 'producer.probed', resource_type: 'probe', resource_id: id },
    };
    const body = valid ? event : { ...event, data: { tenant_id: tenantId } };
    return {
      sent: { id, queue, tenantId, valid },
      message: { messageId: id, body, contentType: 'application/cloudevents+json' },
    };
  }
}
