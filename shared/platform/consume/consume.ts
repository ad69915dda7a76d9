import { retryWithBackoff } from './retry-with-backoff.ts';
import type { AnyConsumer, ConsumeServices } from './event-consumer.ts';
import { eventsIn, type GivenEvent } from './message-events.ts';
import { quarantineMessages, type QuarantinedMessage } from './quarantine.ts';
import { readEnvelope, unknownType, type Envelope } from './read-event.ts';
import { receivedMessages, type ReceivedMessage } from './received-message.ts';
import { isRefusal } from './refusal.ts';
import { count, observe } from '../telemetry/metrics.ts';
import { causesOf, inSpan, type ActiveSpan, type SpanOptions } from '../telemetry/tracing.ts';
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
      const received = receivedMessages(messages, triggerMetadata);
      return inSpan(`process ${queue}`, processingOf(queue, received), async (span) => {
        const batch = openBatch(services, queue, consumers, received, span);
        try {
          await retryWithBackoff(() => batch.consume());
        } catch (error) {
          count('queue_events_total', { queue, outcome: 'failed' }, batch.left());
          throw error;
        }
      });
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
  /** The events that are not consumed yet. Those of messages that were not read are counted as one a message. */
  left(): number;
}

/** The span of a batch. The senders of its messages caused it. */
function processingOf(queue: string, messages: readonly ReceivedMessage[]): SpanOptions {
  return {
    kind: 'consumer',
    attributes: {
      'messaging.system': 'servicebus',
      'messaging.destination.name': queue,
      'messaging.batch.message_count': messages.length,
    },
    causes: causesOf(new Set(messages.map(({ properties }) => traceparentIn(properties)))),
  };
}

/** The host changes the first letter of a property's name to lower case. */
function traceparentIn(properties: ReceivedMessage['properties']): unknown {
  return properties['traceparent'] ?? properties['diagnostic-Id'] ?? properties['Diagnostic-Id'];
}

/** Opens a batch. Reads nothing yet. `span`: gets a link to the cause of each event. */
export function openBatch(
  services: ConsumeServices,
  queue: string,
  consumers: readonly AnyConsumer[],
  messages: readonly ReceivedMessage[],
  span?: ActiveSpan,
): ReceivedBatch {
  const parts = partsOf(messages);
  let part = parts.next();
  let messagesDone = 0;
  return {
    async consume() {
      while (part.done !== true) {
        await consumePart(services, { queue, consumers, span }, part.value);
        messagesDone += part.value.messages;
        part = parts.next();
      }
    },
    left() {
      if (part.done === true) return 0;
      const { events, refused, messages: inPart } = part.value;
      return events.length + refused.length + messages.length - messagesDone - inPart;
    },
  };
}

/** The events of some messages, and the messages without any. */
interface Part {
  readonly events: readonly GivenEvent[];
  readonly refused: readonly QuarantinedMessage[];
  /** The messages that it ends. */
  readonly messages: number;
}

/** Reads messages only when their events are needed: a batch may contain thousands of events. */
function* partsOf(messages: readonly ReceivedMessage[]): Generator<Part, undefined> {
  let [events, refused]: [GivenEvent[], QuarantinedMessage[]] = [[], []];
  let inPart = 0;
  for (const message of messages) {
    const given = eventsIn(message);
    if (isRefusal(given)) refused.push({ message, refusal: given });
    else for (const event of given) events.push(event);
    inPart += 1;
    if (events.length + refused.length < EVENTS_AT_ONCE) continue;
    yield { events, refused, messages: inPart };
    [events, refused] = [[], []];
    inPart = 0;
  }
  if (events.length + refused.length > 0) yield { events, refused, messages: inPart };
}

interface Consuming {
  readonly queue: string;
  readonly consumers: readonly AnyConsumer[];
  readonly span: ActiveSpan | undefined;
}

async function consumePart(
  services: ConsumeServices,
  { queue, consumers, span }: Consuming,
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
  const envelopes = [...taken.values()].flatMap((one) => one.envelopes);
  span?.link(causesOf(new Set(envelopes.map(({ traceparent }) => traceparent))));
  const tally = { duplicates: 0 };
  for (const one of taken.values())
    refused.push(...(await writeEvents(services, one.consumer, one.envelopes, now, tally)));
  await quarantineMessages(services.crossTenant.core, queue, refused, now);
  countEvents(queue, part, refused.length, tally.duplicates);
  for (const { time } of envelopes)
    observe('queue_event_age_seconds', { queue }, Math.max(0, now.getTime() - Date.parse(time)) / 1000);
}

function countEvents(queue: string, part: Part, quarantined: number, duplicates: number): void {
  const all = part.events.length + part.refused.length;
  count('queue_events_total', { queue, outcome: 'written' }, all - quarantined - duplicates);
  count('queue_events_total', { queue, outcome: 'duplicate' }, duplicates);
  count('queue_events_total', { queue, outcome: 'quarantined' }, quarantined);
}
