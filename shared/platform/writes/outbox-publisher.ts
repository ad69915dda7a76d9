import { MessageTooLarge, type BusSender } from '../bus/bus-sender.ts';
import type { Cache } from '../cache/cache.ts';
import { SharedBreaker } from '../cache/shared-breaker.ts';
import type { CrossTenantDatabases, OutboxEntry } from '../call/call.ts';
import { errorFields, log } from '../log/log.ts';
import { count } from '../telemetry/metrics.ts';
import { detached } from '../telemetry/tracing.ts';
import { deleteFromOutbox, namesOtherTenant } from './outbox.ts';

/**
 * Entries are collected for this long before they are sent, because a batch costs the broker hardly more than one message.
 */
const GATHER_MS = 50;
/** The most entries of one flush: about 600 events in a few messages. */
export const FLUSH_MAX = 200;
/** The most waiting entries. The relay timer publishes the others, so memory is limited and nothing is lost. */
const BACKLOG_MAX = 5_000;
/** The pause after a failure. Meanwhile the relay publishes. */
const REST_MS = 2_000;

/**
 * Publishes outbox entries right after their commit and deletes their rows. Best effort: the relay timer publishes the rest.
 * No request waits for it.
 */
export class Publisher {
  readonly #sender: BusSender;
  readonly #databases: CrossTenantDatabases;
  readonly #breaker: SharedBreaker;
  #waiting: OutboxEntry[] = [];
  #running: Promise<void> | undefined;

  constructor(sender: BusSender, databases: CrossTenantDatabases, cache: Cache) {
    this.#sender = sender;
    this.#databases = databases;
    this.#breaker = new SharedBreaker(cache, {
      service: 'service-bus',
      openMs: REST_MS,
      ignore: (error) => error instanceof MessageTooLarge,
    });
  }

  /**
   * Takes an entry whose row is committed. Returns at once. An entry with an event of another tenant is left to the relay,
   * which moves the event to quarantine.
   */
  publish(entry: OutboxEntry): void {
    if (this.#waiting.length >= BACKLOG_MAX || this.#breaker.open) return;
    if (entry.events.some((event) => namesOtherTenant(event, entry.tenantId))) return;
    this.#waiting.push(entry);
    // Not part of the request that happens to come first.
    this.#running ??= detached(() => this.#run());
  }

  /** Resolves when nothing waits any more. Used at shutdown. */
  async drain(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    while (this.#waiting.length > 0) {
      const entries = this.#waiting.splice(0, FLUSH_MAX);
      try {
        await this.#breaker.execute(() => this.#sender.publish(entries.flatMap((entry) => entry.events)));
        // Deletes them after the broker has them: a crash in between sends them twice instead of never.
        await deleteFromOutbox(this.#databases, entries);
      } catch (error) {
        count('publish_failures_total', { by: 'publisher' });
        log.warn('publish-failed', { ...errorFields(error), entries: entries.length + this.#waiting.length });
        this.#waiting = [];
      }
    }
    this.#running = undefined;
  }
}
