import { describe, expect, test } from 'vitest';
import type { CloudEvent } from './events.ts';
import { EVENT_BATCH, ONE_EVENT, packEvents } from './pack-events.ts';

const LIMIT = 64 * 1024;

function event(id: string, size = 100): CloudEvent {
  return {
    specversion: '1.0',
    id,
    source: '/test',
    type: 't',
    time: '2026-11-24T10:00:00Z',
    datacontenttype: 'application/json',
    data: 'é'.repeat(size / 2),
  };
}
const events = (count: number, size?: number) =>
  Array.from({ length: count }, (_, n) => event(`e${n}`, size));

/** The events that a consumer reads from the messages. */
const unpacked = (packed: ReturnType<typeof packEvents>): unknown[] =>
  packed.flatMap(({ message }) => JSON.parse((message.body as Buffer).toString()) as unknown);

const idsOf = (packed: ReturnType<typeof packEvents>) => packed.map(({ message }) => message.messageId);

describe('packed events', () => {
  test.each([
    ['few', events(3), 1],
    ['as many as a message holds', events(50), 1],
    ['one more', events(51), 2],
    ['large ones', events(20, 10_000), 4],
    ['one that fills a message, between others', [event('a'), event('b', 61_300), event('c')], 3],
    ['one larger than any message', [event('a', 400_000)], 1],
    ['none', [], 0],
  ])('are all there, in order, in messages of 64 KB at most: %s', (_, given, messages) => {
    const packed = packEvents(given);
    expect(unpacked(packed)).toEqual(given);
    expect(packed.flatMap((one) => one.events)).toEqual(given);
    expect(packed).toHaveLength(messages);
    for (const { message, events: inside } of packed)
      if (inside.length > 1) expect((message.body as Buffer).length).toBeLessThan(LIMIT);
  });

  test('travel in structured mode with their own id when they are alone in a message, otherwise in batched mode', () => {
    const [alone] = packEvents(events(1));
    const [together] = packEvents(events(2));
    expect(alone?.message).toMatchObject({ messageId: 'e0', contentType: ONE_EVENT });
    expect(together?.message.contentType).toBe(EVENT_BATCH);
  });

  test('have the same message id when the same events are packed again, in any order', () => {
    expect(idsOf(packEvents(events(5)))).toEqual(idsOf(packEvents(events(5).reverse())));
  });

  test('have another message id with one event more or less, or with another source, so that none is dropped as a duplicate', () => {
    const foreign = events(5).map((one) => ({ ...one, source: '/another' }));
    const ids = [events(5), events(6), events(4), foreign].flatMap((some) => idsOf(packEvents(some)));
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id?.toString().length).toBeLessThanOrEqual(128);
  });
});
