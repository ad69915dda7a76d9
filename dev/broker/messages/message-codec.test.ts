import fc from 'fast-check';
import rhea from 'rhea';
import { expect, test } from 'vitest';
import { BrokerError } from '../broker-error.ts';
import { encodeForReceiver, parseMessage, withApplicationProperties } from './message-codec.ts';
import { listSections } from './message-sections.ts';
import type { StoredMessage } from './stored-message.ts';

function stored(bytes: Buffer, changes: Partial<StoredMessage> = {}): StoredMessage {
  const { messageId, content, annotations, ttlMs, scheduledFor } = parseMessage(bytes);
  return {
    sequence: 5_000_000_000,
    messageId,
    content,
    annotations,
    ttlMs,
    scheduledFor,
    enqueuedAt: 1_700_000_000_123,
    expiresAt: null,
    deliveryCount: 0,
    state: 'active',
    lock: null,
    ...changes,
  };
}

test('the broker’s header and annotations say what it knows', () => {
  const sent = rhea.message.encode({
    message_id: 'id',
    ttl: 70_000,
    message_annotations: { 'x-opt-partition-key': 'key', 'x-opt-sequence-number': 1 },
    body: 'x',
  });
  const received = rhea.message.decode(
    encodeForReceiver(stored(sent, { deliveryCount: 300, state: 'deferred' })),
  );
  expect(received).toMatchObject({
    message_id: 'id',
    ttl: 70_000,
    delivery_count: 300,
    body: 'x',
    message_annotations: {
      'x-opt-partition-key': 'key',
      'x-opt-sequence-number': 5_000_000_000,
      'x-opt-enqueued-time': new Date(1_700_000_000_123),
      'x-opt-message-state': 1,
    },
  });
});

test('a message without time to live has none when it is received', () => {
  const received = rhea.message.decode(encodeForReceiver(stored(rhea.message.encode({ body: 'x' }))));
  expect(received['ttl']).toBeUndefined();
  expect(received['delivery_count']).toBe(0);
});

test('changing application properties leaves the others, their types and the rest as they were', () => {
  const body = rhea.message.data_sections([Buffer.from('a'), Buffer.from('b')]) as unknown;
  const bytes = rhea.message.encode({
    message_id: 'id',
    application_properties: { small: rhea.types.wrap_ulong(1) as unknown, replaced: 'old' },
    body,
  });
  const { content } = parseMessage(bytes);
  const changed = withApplicationProperties(content, { replaced: 'new', added: 2 });
  expect(rhea.message.decode(changed)['application_properties']).toEqual({
    small: 1,
    replaced: 'new',
    added: 2,
  });
  expect(changed.includes(Buffer.concat([Buffer.from('small'), Buffer.from([0x53, 1])]))).toBe(true);
  const bodyOf = (message: Buffer): Buffer => {
    const data = listSections(message).find((section) => section.code === 0x75);
    return message.subarray(data?.start);
  };
  expect(bodyOf(changed).equals(bodyOf(content))).toBe(true);
});

test('application properties can be added to a message that has none', () => {
  for (const message of [{ body: 'x' }, { message_id: 'id', body: 'x' }]) {
    const { content } = parseMessage(rhea.message.encode(message));
    const changed = rhea.message.decode(withApplicationProperties(content, { a: 1 }));
    expect(changed).toMatchObject({ application_properties: { a: 1 }, body: 'x' });
  }
});

test('malformed bytes are an error that can be reported to a client', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        parseMessage(Buffer.from(bytes));
      } catch (error) {
        expect(
          error instanceof BrokerError || error instanceof RangeError || error instanceof TypeError,
        ).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a message that is cut off anywhere is an error', () => {
  const whole = rhea.message.encode({ message_id: 'id', application_properties: { a: 1 }, body: 'text' });
  const parts = new Set(listSections(whole).map((section) => section.end));
  for (let length = 1; length < whole.length; length += 1) {
    if (parts.has(length)) continue; // a whole message, though a shorter one
    expect(() => parseMessage(whole.subarray(0, length))).toThrow();
  }
});
