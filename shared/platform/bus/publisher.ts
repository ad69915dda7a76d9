import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceBusClient, ServiceBusMessage, ServiceBusSender } from '@azure/service-bus';
import type { Cache } from '../cache/cache.ts';
import { SharedBreaker } from '../cache/shared-breaker.ts';
import type { Settings } from '../config/settings.ts';
import type { JobsDatabase } from '../db/tenant-database.ts';
import { errorFields, log } from '../log/log.ts';
import { queueOf, type CloudEvent } from './events.ts';

/** An outbox row: what one write causes elsewhere. */
export interface OutboxEntry {
  readonly id: string;
  readonly events: readonly CloudEvent[];
}

/** Entries gather for this long before they are sent: a batch costs the broker hardly more than a message. */
const GATHER_MS = 50;
/** Entries in one flush; about 600 messages, well under what one AMQP batch of 256 KB splits into. */
const FLUSH_MAX = 200;
/** Beyond this many waiting entries the rest is left to the relay timer: memory is bounded, and nothing is lost. */
const BACKLOG_MAX = 5_000;
/** After a failure the publisher rests, and the relay carries. */
const REST_MS = 2_000;

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

/**
 * Publishes outbox entries right after their commit and deletes their rows. Best effort: what it does not manage, the
 * relay timer does. Nothing waits for it.
 */
export class Publisher {
  readonly #sender: BusSender;
  readonly #database: JobsDatabase;
  readonly #breaker: SharedBreaker;
  #waiting: OutboxEntry[] = [];
  #running: Promise<void> | undefined;

  constructor(sender: BusSender, database: JobsDatabase, cache: Cache) {
    this.#sender = sender;
    this.#database = database;
    this.#breaker = new SharedBreaker(cache, {
      service: 'service-bus',
      openMs: REST_MS,
      ignore: (error) => error instanceof MessageTooLarge,
    });
  }

  /** Takes an entry whose row is committed. Returns at once. */
  publish(entry: OutboxEntry): void {
    if (this.#waiting.length >= BACKLOG_MAX || this.#breaker.open) return;
    this.#waiting.push(entry);
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits any more; for an orderly end. */
  async drain(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    const guarded: EventSender = {
      publish: (events) => this.#breaker.execute(() => this.#sender.publish(events)),
    };
    while (this.#waiting.length > 0) {
      const entries = this.#waiting.splice(0, FLUSH_MAX);
      try {
        await publishEntries(guarded, this.#database, entries);
      } catch (error) {
        log.warn('publish-failed', { ...errorFields(error), entries: entries.length + this.#waiting.length });
        this.#waiting = [];
      }
    }
    this.#running = undefined;
  }
}

/** Who publishes events. */
export type EventSender = Pick<BusSender, 'publish'>;

/** Publishes entries, then deletes their rows: in this order, so that a crash in between sends twice rather than never. */
export async function publishEntries(
  sender: EventSender,
  database: JobsDatabase,
  entries: readonly OutboxEntry[],
): Promise<void> {
  await sender.publish(entries.flatMap((entry) => entry.events));
  await database.query(`delete from ops.outbox where id = any($1::uuid[])`, [
    entries.map((entry) => entry.id),
  ]);
}
