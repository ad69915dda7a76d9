import { expect, test } from 'vitest';
import { startTestBroker } from '../../../dev/broker/test-broker.ts';
import type { Settings } from '../config/settings.ts';
import { BusSender } from './bus-sender.ts';

test('each peek shows the oldest messages again', async () => {
  const broker = await startTestBroker();
  const sender = new BusSender({ SERVICE_BUS_CONNECTION: broker.connectionString } as Settings);
  await sender.send(
    'work',
    [1, 2, 3].map((n) => ({ messageId: String(n), body: n })),
  );
  const peek = (limit: number) => sender.peek('work', { dead: false, limit });
  const [first] = await peek(1);
  expect(first).toBeInstanceOf(Date);
  expect(await peek(1)).toEqual([first]);
  expect(await peek(10)).toHaveLength(3);
  await sender.reset();
});
