import { describe, expect, test } from 'vitest';
import { USAGE_RECORDED, usageData, type UsageData } from '../bus/events.ts';
import { eventsIn } from './message-events.ts';
import { readEnvelope, readEvent, unknownType, type ReceivedEvent } from './read-event.ts';
import { receivedMessages, type ReceivedMessage } from './received-message.ts';
import { isRefusal, type Refusal } from './refusal.ts';

const now = new Date('2026-11-24T12:00:00Z');
const shape = { type: USAGE_RECORDED, schema: usageData, maxAgeDays: 400 };
const event = {
  specversion: '1.0',
  id: 'e1',
  source: '/producer',
  type: USAGE_RECORDED,
  time: '2026-11-24T11:00:00.123456789+01:00',
  data: { tenant_id: 'acme', usage_type: 'api_calls', usage_amount: 2 },
};

function message(body: unknown, properties: Record<string, unknown> = {}): ReceivedMessage {
  const [only] = receivedMessages([body], { applicationPropertiesArray: [properties] });
  if (only === undefined) throw new Error('no message');
  return only;
}

/** Reads a message with one event like a queue's consumer. */
function read(body: unknown, properties?: Record<string, unknown>): ReceivedEvent<UsageData> | Refusal {
  const given = eventsIn(message(body, properties));
  if (isRefusal(given)) return given;
  const [only] = given;
  if (only === undefined || given.length > 1) throw new Error(`${given.length} events`);
  const envelope = readEnvelope(only);
  if (isRefusal(envelope)) return envelope;
  return envelope.type === shape.type ? readEvent(envelope, shape, now) : unknownType(envelope);
}

function reasonOf(body: unknown): string | undefined {
  const result = read(body);
  return isRefusal(result) ? result.reason : undefined;
}

describe('an event is read', () => {
  test.each([
    ['bytes', Buffer.from(JSON.stringify(event))],
    ['text', JSON.stringify(event)],
    ['an object that the host parsed', event],
    [
      'bytes with extension attributes',
      Buffer.from(JSON.stringify({ ...event, traceparent: '00-1', reason: 'x' })),
    ],
    ['a batch of one', [event]],
  ])('from %s', (_, body) => {
    expect(read(body)).toMatchObject({ id: 'e1', source: '/producer', data: { usage_unit: 'count' } });
  });

  test('with its time in UTC to the microsecond', () => {
    expect(read(event)).toMatchObject({
      time: '2026-11-24T10:00:00.123456Z',
      at: new Date('2026-11-24T10:00:00.123Z'),
    });
  });

  test.each(['cloudEvents:', 'cloudEvents_'])('whose envelope is in the properties (%s)', (prefix) => {
    const { data, ...attributes } = event;
    const properties = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`${prefix}${name}`, value]),
    );
    expect(read(data, properties)).toMatchObject({ id: 'e1', data: { tenant_id: 'acme' } });
  });
});

describe('a message is refused', () => {
  const withData = (data: Record<string, unknown>): unknown => ({
    ...event,
    data: { ...event.data, ...data },
  });
  test.each<[string, string, unknown]>([
    ['NOT_JSON', 'text that is not JSON', 'hello'],
    ['NOT_JSON', 'an empty body', Buffer.alloc(0)],
    ['NOT_JSON', 'bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['NOT_A_CLOUD_EVENT', 'a number', 12],
    ['NOT_A_CLOUD_EVENT', 'null', null],
    ['NOT_A_CLOUD_EVENT', 'a list in a list', [[event]]],
    ['NOT_A_CLOUD_EVENT', 'data without an envelope', event.data],
    ['NOT_A_CLOUD_EVENT', 'another version', { ...event, specversion: '0.3' }],
    ['NOT_A_CLOUD_EVENT', 'no time', { ...event, time: undefined }],
    ['NOT_A_CLOUD_EVENT', 'a time without a zone', { ...event, time: '2026-11-24T12:00:00' }],
    ['UNKNOWN_TYPE', 'another type', { ...event, type: 'com.comply-ai.usage.recorded.v9' }],
    ['NOT_A_CLOUD_EVENT', 'no data', { ...event, data: undefined }],
    ['INVALID_DATA', 'a negative amount', withData({ usage_amount: -1 })],
    ['INVALID_DATA', 'an amount out of range', JSON.stringify(event).replace('":2', '":1e999')],
    ['INVALID_DATA', 'a NUL', withData({ resource_id: 'a\0b' })],
    [
      'INVALID_DATA',
      'a member named __proto__',
      JSON.stringify(event).replace('"tenant_id"', '"__proto__":1,"tenant_id"'),
    ],
    ['INVALID_DATA', 'a lone surrogate', JSON.stringify(withData({ user_id: '?' })).replace('?', '\\ud83d')],
    ['INVALID_TIME', 'more than a day ahead', { ...event, time: '2026-11-25T12:00:01Z' }],
    ['INVALID_TIME', 'older than any billing period', { ...event, time: '2025-10-01T00:00:00Z' }],
  ])('%s: %s', (reason, _, body) => {
    expect(reasonOf(body)).toBe(reason);
  });

  test('with pointers to its faults, and without its content', () => {
    const refused = read(withData({ usage_amount: 'secret', usage_type: '' }));
    expect(JSON.stringify(refused)).not.toContain('secret');
    expect(refused).toMatchObject({
      tenantId: 'acme',
      detail: [{ pointer: '/data/usage_type' }, { pointer: '/data/usage_amount' }],
    });
  });
});

describe('the properties of a batch', () => {
  test('belong to no message when the host left some out', () => {
    const messages = receivedMessages(['1', '2'], { messageIdArray: ['only-one'] });
    expect(messages.map(({ messageId }) => messageId)).toEqual([null, null]);
  });

  test('otherwise belong to their messages', () => {
    const messages = receivedMessages(['1', '2'], { messageIdArray: ['a', 'b'] });
    expect(messages.map(({ messageId, body }) => `${messageId}${body.toString()}`)).toEqual(['a1', 'b2']);
  });
});
