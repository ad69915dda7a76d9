import { randomUUID } from 'node:crypto';
import type { ServiceBusReceivedMessage } from '@azure/service-bus';
import type { RpcInvocationRequest, RpcTypedData } from '../core-types.ts';
import type { ServiceBusFunction } from '../worker/hosted-function.ts';

/** The fields of a received message that a function gets. */
export type HandedMessage = Partial<
  Pick<
    ServiceBusReceivedMessage,
    | 'applicationProperties'
    | 'contentType'
    | 'correlationId'
    | 'deadLetterSource'
    | 'deliveryCount'
    | 'enqueuedTimeUtc'
    | 'expiresAtUtc'
    | 'lockToken'
    | 'messageId'
    | 'partitionKey'
    | 'replyTo'
    | 'replyToSessionId'
    | 'sequenceNumber'
    | 'sessionId'
    | 'subject'
    | 'to'
  >
> & { readonly body: unknown };

const NEVER = '9999-12-31T23:59:59.9999999'; // .NET's last date, for a message that does not expire

/** The bytes of a body as they were sent. A body that is an AMQP value instead of bytes becomes text or JSON. */
function bodyBytes(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (body === undefined || body === null) return Buffer.alloc(0);
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/** A date as Newtonsoft writes .NET's `DateTime` of unspecified kind: without zone and trailing zeros. */
function formatDateTime(date: Date | undefined): string {
  if (!date || Number.isNaN(date.getTime())) return NEVER;
  const text = date.toISOString();
  let end = text.length - 1; // without the Z
  while (text[end - 1] === '0') end -= 1;
  return text.slice(0, text[end - 1] === '.' ? end - 1 : end);
}

/** The same as a `DateTimeOffset`. */
function formatDateTimeOffset(date: Date | undefined): string {
  return `${formatDateTime(date)}+00:00`;
}

function toJson(value: unknown): RpcTypedData {
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? item.toString() : item,
  );
  return { json: text };
}

/** AMQP ids can also be numbers or bytes (a GUID). .NET gives them as text. */
type MetadataText = string | number | Buffer | null | undefined;

function textOf(value: MetadataText): string {
  return Buffer.isBuffer(value) ? value.toString('hex') : String(value ?? '');
}

/** Azure's host leaves empty texts out of its arrays, so an array can be shorter than the batch. */
function toTexts(values: readonly MetadataText[]): RpcTypedData {
  return {
    collectionString: { string: values.map((value) => textOf(value)).filter((text) => text !== '') },
  };
}

function toText(value: MetadataText): RpcTypedData {
  return value === undefined || value === null ? {} : { string: textOf(value) };
}

/** .NET counts the first delivery as 1, the JavaScript SDK as 0. */
function deliveryCountOf(message: HandedMessage): number {
  return (message.deliveryCount ?? 0) + 1;
}

function batchMetadata(messages: readonly HandedMessage[]): Record<string, RpcTypedData> {
  const subjects = toTexts(messages.map((message) => message.subject));
  const properties = toJson(messages.map((message) => message.applicationProperties ?? {}));
  const partitionKeys = toTexts(messages.map((message) => message.partitionKey));
  return {
    DeliveryCountArray: toJson(messages.map(deliveryCountOf)),
    DeadLetterSourceArray: toTexts(messages.map((message) => message.deadLetterSource)),
    LockTokenArray: toTexts(messages.map((message) => message.lockToken)),
    ExpiresAtUtcArray: toJson(messages.map((message) => formatDateTime(message.expiresAtUtc))),
    ExpiresAtArray: toJson(messages.map((message) => formatDateTimeOffset(message.expiresAtUtc))),
    EnqueuedTimeUtcArray: toJson(messages.map((message) => formatDateTime(message.enqueuedTimeUtc))),
    EnqueuedTimeArray: toJson(messages.map((message) => formatDateTimeOffset(message.enqueuedTimeUtc))),
    MessageIdArray: toTexts(messages.map((message) => message.messageId)),
    ContentTypeArray: toTexts(messages.map((message) => message.contentType)),
    ReplyToArray: toTexts(messages.map((message) => message.replyTo)),
    SequenceNumberArray: {
      collectionSint64: {
        sint64: messages.map(({ sequenceNumber }) => ({
          low: sequenceNumber?.low ?? 0,
          high: sequenceNumber?.high ?? 0,
          unsigned: false,
        })),
      },
    },
    ToArray: toTexts(messages.map((message) => message.to)),
    SubjectArray: subjects,
    LabelArray: subjects,
    CorrelationIdArray: toTexts(messages.map((message) => message.correlationId)),
    ApplicationPropertiesArray: properties,
    UserPropertiesArray: properties,
    SessionIdArray: toTexts(messages.map((message) => message.sessionId)),
    ReplyToSessionIdArray: toTexts(messages.map((message) => message.replyToSessionId)),
    PartitionKeyArray: partitionKeys,
    TransactionPartitionKeyArray: partitionKeys,
  };
}

function singleMetadata(message: HandedMessage): Record<string, RpcTypedData> {
  const properties = toJson(message.applicationProperties ?? {});
  return {
    DeliveryCount: toJson(deliveryCountOf(message)),
    DeadLetterSource: toText(message.deadLetterSource),
    LockToken: toText(message.lockToken),
    ExpiresAtUtc: toJson(formatDateTime(message.expiresAtUtc)),
    ExpiresAt: toJson(formatDateTimeOffset(message.expiresAtUtc)),
    EnqueuedTimeUtc: toJson(formatDateTime(message.enqueuedTimeUtc)),
    EnqueuedTime: toJson(formatDateTimeOffset(message.enqueuedTimeUtc)),
    MessageId: toText(message.messageId),
    ContentType: toText(message.contentType),
    ReplyTo: toText(message.replyTo),
    SequenceNumber: toJson(message.sequenceNumber?.toNumber() ?? 0),
    To: toText(message.to),
    Subject: toText(message.subject),
    Label: toText(message.subject),
    CorrelationId: toText(message.correlationId),
    ApplicationProperties: properties,
    UserProperties: properties,
    SessionId: toText(message.sessionId),
    ReplyToSessionId: toText(message.replyToSessionId),
    PartitionKey: toText(message.partitionKey),
    TransactionPartitionKey: toText(message.partitionKey),
  };
}

function toBodies(fn: ServiceBusFunction, messages: readonly HandedMessage[]): RpcTypedData {
  const bodies = messages.map((message) => bodyBytes(message.body));
  const [first] = bodies;
  if (fn.batch) {
    return fn.binary
      ? { collectionBytes: { bytes: bodies } }
      : toTexts(bodies.map((body) => body.toString('utf8')));
  }
  if (!first) return {};
  return fn.binary ? { bytes: first } : { string: first.toString('utf8') };
}

/**
 * The invocation for received messages: a batch, or a single one. Bodies and metadata have the same types as from Azure's
 * host. Three of them are unexpected: the library parses a body as JSON if it can; sequence numbers of a batch are 64-bit
 * objects; empty texts are missing from a batch's arrays.
 */
export function createMessageRequest(
  fn: ServiceBusFunction,
  messages: readonly HandedMessage[],
): RpcInvocationRequest {
  const [first] = messages;
  return {
    invocationId: randomUUID(),
    inputData: [{ name: fn.bindingName, data: toBodies(fn, messages) }],
    triggerMetadata: fn.batch || !first ? batchMetadata(messages) : singleMetadata(first),
  };
}

/** The invocation of a run by hand, with `input` as one message. */
export function createManualMessageRequest(fn: ServiceBusFunction, input: string): RpcInvocationRequest {
  const message: HandedMessage = {
    body: input,
    messageId: randomUUID(),
    lockToken: randomUUID(),
    enqueuedTimeUtc: new Date(),
  };
  return createMessageRequest(fn, [message]);
}
