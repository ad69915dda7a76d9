import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceBusClient, ServiceBusMessage, ServiceBusSender } from '@azure/service-bus';
import type { Settings } from '../config/settings.ts';
import { queueOf, type CloudEvent } from './events.ts';

/** A broker that does not answer does not say goodbye either. */
const CLOSE_MS = 1_000;

/** A message that the broker takes in no batch, however small: trying again changes nothing. */
export class MessageTooLarge extends Error {
  override name = 'MessageTooLarge';
  constructor(queue: string) {
    super(`a message is too large for the queue ${queue}`);
  }
}

/** Sends events to Service Bus. Opens its client on first use. */
export class BusSender {
  readonly #settings: Settings;
  #client: Promise<ServiceBusClient> | undefined;
  readonly #senders = new Map<string, ServiceBusSender>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async #sender(queue: string): Promise<ServiceBusSender> {
    this.#client ??= this.#connect();
    const client = await this.#client;
    let sender = this.#senders.get(queue);
    if (sender === undefined) {
      sender = client.createSender(queue);
      this.#senders.set(queue, sender);
    }
    return sender;
  }

  async #connect(): Promise<ServiceBusClient> {
    const { ServiceBusClient: Client } = await import('@azure/service-bus');
    // Retrying is the outbox's work: the SDK's own three tries of 30 s would hold a flush for minutes.
    const options = { retryOptions: { maxRetries: 0, timeoutInMs: 5_000 } };
    const namespace = this.#settings.SERVICE_BUS_CONNECTION__fullyQualifiedNamespace;
    if (this.#settings.SERVICE_BUS_CONNECTION !== undefined)
      return new Client(this.#settings.SERVICE_BUS_CONNECTION, options);
    const { DefaultAzureCredential } = await import('@azure/identity');
    return new Client(namespace ?? '', new DefaultAzureCredential(), options);
  }

  /**
   * Publishes events to the queues of their types; resolves once the broker has them all.
   * @throws when the broker did not take them; some may have arrived, and the broker's duplicate detection and the
   * consumers' own keys make sending again safe.
   */
  async publish(events: readonly CloudEvent[]): Promise<void> {
    const byQueue = new Map<string, ServiceBusMessage[]>();
    for (const event of events) {
      const queue = queueOf(event.type);
      if (queue === undefined) throw new Error(`no queue takes events of type ${event.type}`);
      const message: ServiceBusMessage = {
        body: event,
        messageId: event.id,
        contentType: 'application/cloudevents+json',
      };
      const messages = byQueue.get(queue);
      if (messages === undefined) byQueue.set(queue, [message]);
      else messages.push(message);
    }
    await Promise.all([...byQueue].map(([queue, messages]) => this.send(queue, messages)));
  }

  /** Sends messages as they are, split into batches that the broker takes. */
  async send(queue: string, messages: readonly ServiceBusMessage[]): Promise<void> {
    try {
      const sender = await this.#sender(queue);
      let batch = await sender.createMessageBatch();
      for (const message of messages) {
        if (batch.tryAddMessage(message)) continue;
        await sender.sendMessages(batch);
        batch = await sender.createMessageBatch();
        if (!batch.tryAddMessage(message)) throw new MessageTooLarge(queue);
      }
      if (batch.count > 0) await sender.sendMessages(batch);
    } catch (error) {
      // The connection is well, and other queues' sends are on it.
      if (!(error instanceof MessageTooLarge)) await this.reset();
      throw error;
    }
  }

  /** Round trip in ms to a queue's broker: one peek. */
  async ping(queue: string): Promise<number> {
    const start = performance.now();
    this.#client ??= this.#connect();
    const receiver = (await this.#client).createReceiver(queue);
    try {
      await receiver.peekMessages(1);
      return performance.now() - start;
    } finally {
      await receiver.close().catch(() => undefined);
    }
  }

  /** Drops the connection; the next use makes a new one. A link that failed once does not always mend itself. */
  async reset(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#senders.clear();
    if (client === undefined) return;
    const closed = client.then((open) => open.close()).catch(() => undefined);
    await Promise.race([closed, delay(CLOSE_MS, undefined, { ref: false })]);
  }
}
