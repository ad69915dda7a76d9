import { retryWithBackoff } from './retry-with-backoff.ts';
import type { AnyConsumer, ConsumeServices } from './event-consumer.ts';
import { eventsIn, type GivenEvent } from './message-events.ts';
import { quarantineMessages, type QuarantinedMessage } from './quarantine.ts';
import { readEnvelope, unknownType, type Envelope } from './read-event.ts';
import { receivedMessages, type ReceivedMessage } from './received-message.ts';
import { isRefusal } from './refusal.ts';
import { writeEvents } from './write-events.ts';

/** Events that are written together. Enough to share a statement's costs, and few enough to need little memory. */
const EVENTS_AT_ONCE = 500;

/** A queue and its consumer. */
export interface QueueConsumer {
  readonly queue: string;
  /** The queue's types of event. All others go to quarantine. */
  readonly types: readonly string[];
  /** Consumes a batch from the Functions host. @throws as {@link ReceivedBatch.consume}, after retries. */
  consume(
    services: ConsumeServices,
    messages: unknown,
    triggerMetadata: Readonly<Record<string, unknown>> | undefined,
  ): Promise<void>;
}

/**
 * Declares a queue's consumers, one for each type of event.
 * @throws Error if two consumers have the same type.
 */
export function queueConsumer(queue: string, consumers: readonly AnyConsumer[]): QueueConsumer {
  const types = consumers.map(({ type }) => type);
  if (new Set(types).size < types.length) throw new Error(`the queue ${queue} has two consumers of one type`);
  return {
    queue,
    types,
    consume: (services, messages, triggerMetadata) => {
      const batch = openBatch(services, queue, consumers, receivedMessages(messages, triggerMetadata));
      return retryWithBackoff(() => batch.consume());
    },
  };
}

/** A batch of messages that is being consumed. */
export interface ReceivedBatch {
  /**
   * Consumes the rest of the batch, part by part. Called again after a throw, it continues where it failed. Each event is
   * checked separately, and the valid ones are written together. An event that can never be processed goes to quarantine and
   * counts as done. The batch's locks are not renewed: a batch ends well within their five minutes, or throws.
   * @throws only temporary errors: a database that is unavailable or busy, or a bug of our own.
   */
  consume(): Promise<void>;
}

/** Opens a batch. Reads nothing yet. */
export function openBatch(
  services: ConsumeServices,
  queue: string,
  consumers: readonly AnyConsumer[],
  messages: readonly ReceivedMessage[],
): ReceivedBatch {
  const parts = partsOf(messages);
  let part = parts.next();
  return {
    async consume() {
      while (part.done !== true) {
        await consumePart(services, queue, consumers, part.value);
        part = parts.next();
      }
    },
  };
}

/** The events of some messages, and the messages without any. */
interface Part {
  readonly events: readonly GivenEvent[];
  readonly refused: readonly QuarantinedMessage[];
}

/** Reads messages only when their events are needed: a batch may contain thousands of events. */
function* partsOf(messages: readonly ReceivedMessage[]): Generator<Part, undefined> {
  let [events, refused]: [GivenEvent[], QuarantinedMessage[]] = [[], []];
  for (const message of messages) {
    const given = eventsIn(message);
    if (isRefusal(given)) refused.push({ message, refusal: given });
    else for (const event of given) events.push(event);
    if (events.length + refused.length < EVENTS_AT_ONCE) continue;
    yield { events, refused };
    [events, refused] = [[], []];
  }
  if (events.length + refused.length > 0) yield { events, refused };
}

async function consumePart(
  services: ConsumeServices,
  queue: string,
  consumers: readonly AnyConsumer[],
  part: Part,
): Promise<void> {
  const now = services.clock.now();
  const refused = [...part.refused];
  const taken = new Map(
    consumers.map((consumer) => [consumer.type, { consumer, envelopes: new Array<Envelope>() }]),
  );
  for (const given of part.events) {
    const envelope = readEnvelope(given);
    if (isRefusal(envelope)) refused.push({ ...given, refusal: envelope });
    else {
      const entry = taken.get(envelope.type);
      if (entry === undefined) refused.push({ ...given, refusal: unknownType(envelope) });
      else entry.envelopes.push(envelope);
    }
  }
  for (const { consumer, envelopes } of taken.values())
    refused.push(...(await writeEvents(services, consumer, envelopes, now)));
  await quarantineMessages(services.crossTenant.core, queue, refused, now);
}
