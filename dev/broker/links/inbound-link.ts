import type { Delivery, EventContext, Receiver as ReceivingLink } from 'rhea';
import { badRequest, BrokerError, messageTooLarge } from '../broker-error.ts';
import type { Journal } from '../journal/journal.ts';
import { parseBatch, parseMessage } from '../messages/message-codec.ts';
import type { Queue } from '../queue/queue.ts';
import { receivedMessage } from '../rhea-gaps.ts';
import type { IncomingMessage } from '../messages/stored-message.ts';

/** The Standard tier's limit, for a single message and for a whole batch. */
export const MAX_MESSAGE_BYTES = 256 * 1024;

/** The error to refuse a client's message with. Throws again what is not the client's fault. */
export function asBrokerError(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  // Malformed bytes make the codec read past their end or find a wrong type.
  if (error instanceof RangeError || error instanceof TypeError)
    return badRequest('The message is malformed.');
  throw error;
}

function parse(bytes: Buffer, batch: boolean): IncomingMessage[] {
  if (bytes.length > MAX_MESSAGE_BYTES) throw messageTooLarge(bytes.length, MAX_MESSAGE_BYTES);
  return batch ? parseBatch(bytes) : [parseMessage(bytes)];
}

/** Refuses a delivery in a turn of its own: rhea joins the first two outcomes of a turn, even when they differ. */
function rejectAlone(delivery: Delivery, error: BrokerError): void {
  setImmediate(() => {
    delivery.reject({ condition: error.condition, description: error.message });
  });
}

/** A link from a sending client. Each transfer, with all its messages, is accepted once it is written. */
export function acceptMessages(link: ReceivingLink, queue: Queue, journal: Journal): void {
  link.on('message', (context: EventContext) => {
    const { bytes, batch, delivery } = receivedMessage(context);
    let messages: IncomingMessage[];
    try {
      messages = parse(bytes, batch);
    } catch (error) {
      rejectAlone(delivery, asBrokerError(error));
      return;
    }
    for (const message of messages) queue.enqueue(message);
    journal.afterWrite(() => {
      delivery.accept();
    });
  });
}
