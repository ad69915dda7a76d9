import rhea from 'rhea';
import type { EventContext, Message, Receiver as ReceivingLink, Sender } from 'rhea';
import type { Journal } from '../journal/journal.ts';
import type { Reply, Request } from '../request.ts';
import { receivedMessage } from '../rhea-gaps.ts';
import { resourcePath } from '../access/sas.ts';

function findReplyLink(link: ReceivingLink, replyTo: unknown): Sender | undefined {
  const address = resourcePath(link.target.address);
  return link.connection.find_sender((sender: Sender) => {
    // rhea's types require source and target, but a client may leave them out.
    const { source, target } = sender as {
      source?: { address?: string | null };
      target?: { address?: string | null };
    };
    const addressed = sender.name === replyTo || target?.address === replyTo;
    return addressed && resourcePath(source?.address ?? '') === address;
  });
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/**
 * Answers every request on the link after its changes are written. The reply goes to the link named in `reply_to`; without
 * such a link it is dropped. A malformed request is rejected as a delivery.
 */
export function answerRequests(
  link: ReceivingLink,
  journal: Journal,
  answer: (request: Request) => Reply,
): void {
  link.on('message', (context: EventContext) => {
    const { bytes, delivery } = receivedMessage(context);
    let message: Readonly<Record<string, unknown>>;
    try {
      message = asObject(rhea.message.decode(bytes));
    } catch {
      // In a turn of its own: rhea joins the first two outcomes of a turn, even when they differ.
      setImmediate(() => {
        delivery.reject({ condition: 'amqp:decode-error', description: 'The request is malformed.' });
      });
      return;
    }
    const { properties, body } = answer({
      properties: asObject(message['application_properties']),
      body: message['body'],
    });
    journal.afterWrite(() => {
      delivery.accept();
      const reply = { correlation_id: message['message_id'], application_properties: properties, body };
      findReplyLink(link, message['reply_to'])?.send(reply as Message);
    });
  });
}
