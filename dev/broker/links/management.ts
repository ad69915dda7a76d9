import rhea from 'rhea';
import { badRequest, BrokerError, messageTooLarge } from '../broker-error.ts';
import type { Address } from '../queue/dispatcher.ts';
import { asBrokerError, MAX_MESSAGE_BYTES } from './inbound-link.ts';
import { encodeForReceiver, parseMessage } from '../messages/message-codec.ts';
import type { PropertyChanges } from '../queue/queue.ts';
import type { Reply, Request } from '../request.ts';
import type { IncomingMessage } from '../messages/stored-message.ts';

const OPERATION_PREFIX = 'com.microsoft:';

// AMQP type codes of the arrays' elements.
const TIMESTAMP = 0x83;
const LONG = 0x81;

// The reply to a peek is built in memory, so it needs a limit. Users of the SDK ask for fewer.
const MAX_PEEKED = 1000;

type Body = Readonly<Record<string, unknown>>;

function ok(body: unknown): Reply {
  return { properties: { statusCode: 200, statusDescription: 'OK' }, body };
}

function noContent(): Reply {
  return { properties: { statusCode: 204, statusDescription: 'No content' } };
}

function failed(error: BrokerError): Reply {
  const { status, condition, message } = error;
  return { properties: { statusCode: status, statusDescription: message, errorCondition: condition } };
}

function list(body: Body, key: string): unknown[] {
  const value = body[key];
  if (!Array.isArray(value)) throw badRequest(`'${key}' should be a list.`);
  return value;
}

function toNumber(value: unknown): number {
  if (typeof value === 'number') return value;
  // rhea gives a long that is too big for a double as bytes. No sequence number is that big, so it is not found.
  if (Buffer.isBuffer(value) && value.length === 8) return Number(value.readBigInt64BE());
  throw badRequest('A number was expected.');
}

function sequenceNumbers(body: Body): number[] {
  return [...new Set(list(body, 'sequence-numbers').map(toNumber))];
}

function lockTokens(body: Body): string[] {
  return list(body, 'lock-tokens').map((token) => {
    if (!Buffer.isBuffer(token) || token.length !== 16) throw badRequest('A lock token should be a uuid.');
    return rhea.uuid_to_string(token);
  });
}

function renewLocks({ queue, entity }: Address, body: Body): Reply {
  const expirations = queue.renewLocks(entity, lockTokens(body));
  return ok({ expirations: rhea.types.wrap_array(expirations, TIMESTAMP, undefined) });
}

function peekMessages({ queue, entity }: Address, body: Body): Reply {
  const limit = Math.min(toNumber(body['message-count']), MAX_PEEKED);
  const messages = queue.peek(entity, toNumber(body['from-sequence-number']), limit);
  if (messages.length === 0) return noContent();
  return ok({ messages: messages.map((message) => ({ message: encodeForReceiver(message) })) });
}

function parseScheduled(item: unknown): IncomingMessage {
  const encoded: unknown =
    typeof item === 'object' && item !== null && 'message' in item ? item.message : undefined;
  if (!Buffer.isBuffer(encoded)) throw badRequest('A scheduled message should be encoded.');
  if (encoded.length > MAX_MESSAGE_BYTES) throw messageTooLarge(encoded.length, MAX_MESSAGE_BYTES);
  return parseMessage(encoded);
}

function scheduleMessages({ queue, entity }: Address, body: Body): Reply {
  if (entity.isDeadLetter) throw badRequest('Nothing can be scheduled in a dead-letter subqueue.');
  const messages = list(body, 'messages').map(parseScheduled);
  const sequences = messages.map((message) => queue.enqueue(message));
  return ok({ 'sequence-numbers': rhea.types.wrap_array(sequences, LONG, undefined) });
}

function cancelScheduled({ queue }: Address, body: Body): Reply {
  queue.cancelScheduled(sequenceNumbers(body));
  return ok({});
}

function receiveDeferred({ queue, entity }: Address, body: Body): Reply {
  const sequences = sequenceNumbers(body);
  if (body['receiver-settle-mode'] === 0) {
    const taken = queue.takeDeferred(entity, sequences);
    return ok({ messages: taken.map((message) => ({ message: encodeForReceiver(message) })) });
  }
  const locks = queue.lockDeferred(entity, sequences);
  const messages = locks.map((lock) => ({
    'lock-token': rhea.types.wrap_uuid(rhea.string_to_uuid(lock.token)),
    message: encodeForReceiver(lock.message),
  }));
  return ok({ messages });
}

function deadLetterChanges(body: Body, changes: PropertyChanges): PropertyChanges {
  const reason = body['deadletter-reason'];
  const description = body['deadletter-description'];
  return {
    ...changes,
    ...(typeof reason === 'string' && { DeadLetterReason: reason }),
    ...(typeof description === 'string' && { DeadLetterErrorDescription: description }),
  };
}

function settle({ queue, entity }: Address, token: string, body: Body): void {
  const changes = (body['properties-to-modify'] ?? {}) as PropertyChanges;
  switch (body['disposition-status']) {
    case 'completed':
      queue.complete(entity, token);
      break;
    case 'abandoned':
      queue.abandon(entity, token, changes);
      break;
    case 'defered': // the protocol's spelling
      queue.defer(entity, token, changes);
      break;
    case 'suspended':
      queue.deadLetter(entity, token, deadLetterChanges(body, changes));
      break;
    default:
      throw badRequest('The disposition is unknown.');
  }
}

function updateDisposition(address: Address, body: Body): Reply {
  for (const token of lockTokens(body)) settle(address, token, body);
  return ok({});
}

const OPERATIONS: Readonly<Record<string, (address: Address, body: Body) => Reply>> = {
  'renew-lock': renewLocks,
  'peek-message': peekMessages,
  'schedule-message': scheduleMessages,
  'cancel-scheduled-message': cancelScheduled,
  'receive-by-sequence-number': receiveDeferred,
  'update-disposition': updateDisposition,
};

/** Answers a request to an entity's $management. A failure is a reply too, with the status and condition that the SDK knows. */
export function answerManagement(address: Address, request: Request): Reply {
  const operation = String(request.properties['operation']);
  try {
    const run = operation.startsWith(OPERATION_PREFIX)
      ? OPERATIONS[operation.slice(OPERATION_PREFIX.length)]
      : undefined;
    if (run === undefined)
      throw new BrokerError('amqp:not-implemented', 501, `${operation} is not supported.`);
    if (typeof request.body !== 'object' || request.body === null)
      throw badRequest('The request has no body.');
    return run(address, request.body as Body);
  } catch (error) {
    return failed(asBrokerError(error));
  }
}
