import { describe, expect, test } from 'vitest';
import { elementsOf, eventsIn } from './message-events.ts';
import type { ReceivedMessage } from './received-message.ts';
import { isRefusal } from './refusal.ts';

function message(body: string | Buffer, properties: Readonly<Record<string, unknown>> = {}): ReceivedMessage {
  return { body: Buffer.from(body), messageId: 'm1', contentType: null, properties };
}

const placesIn = (body: string) => {
  const given = eventsIn(message(body));
  return isRefusal(given) ? given.reason : given.map(({ place, value }) => [place, value]);
};

describe('the events of a message', () => {
  test.each<[string, string, unknown]>([
    ['one event', '{"id":"a"}', [[null, { id: 'a' }]]],
    ['a batch', '[{"id":"a"},{"id":"b"}]', [[0, { id: 'a' }], [1, { id: 'b' }]]], // prettier-ignore
    ['an empty batch', ' [ ] ', []],
    ['lists in a batch, which are no batches', '[[{"id":"a"}]]', [[0, [{ id: 'a' }]]]],
    ['as many as a batch may hold', `[${Array(1000).fill('1').join()}]`, Array.from({ length: 1000 }, (_, n) => [n, 1])], // prettier-ignore
    ['more than a batch may hold', `[${Array(1001).fill('1').join()}]`, 'TOO_MANY_EVENTS'],
    ['a batch that is cut off', '[{"id":"a"},', 'NOT_JSON'],
  ])('%s', (_, body, expected) => {
    expect(placesIn(body)).toEqual(expected);
  });

  test('are one event when the properties contain the envelope, even if the data is a list', () => {
    const given = eventsIn(message('[1]', { 'cloudEvents:specversion': '1.0' }));
    expect(given).toMatchObject([{ place: null, value: { specversion: '1.0', data: [1] } }]);
  });
});

test('the elements of a list keep their original bytes', () => {
  const elements = [
    '{"a":1e999,"a":[1,{"b":"]"}]}',
    '"\\"],[ \\\\"',
    '12345678901234567890.10',
    '[]',
    '"é€😀,"',
    'null',
  ];
  const array = Buffer.from(`\n [${elements.map((element) => ` ${element}\t`).join(',\r\n')}] `);
  expect(elementsOf(array).map(String)).toEqual(elements);
});

test('any list has as many elements as events', () => {
  const texts = ['[1]', '[{}]', '[[],[[]],{"a":[1,2]}]', '["[",",","]"]', '[ "\\\\" , "\\"" ]'];
  for (const text of texts)
    expect(elementsOf(Buffer.from(text)).map((bytes) => JSON.parse(bytes.toString()) as unknown)).toEqual(
      JSON.parse(text),
    );
});
