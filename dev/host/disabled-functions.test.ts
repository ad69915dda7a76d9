import { ServiceBusClient } from '@azure/service-bus';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startBroker, type Broker } from '../broker/broker.ts';
import {
  buildFixtureApp,
  clearEvents,
  eventsOf,
  startFixture,
  until,
  type FixtureApp,
} from './fixture-app.ts';
import { listFunctions } from './list-functions.ts';

const SOURCE = ['one', 'two']
  .map(
    (name) => `
app.http('http-${name}', { methods: ['GET'], handler: () => ({ body: 'ran' }) });
app.serviceBusQueue('queue-${name}', { connection: 'Bus', queueName: '${name}', handler: () => { tell('queue-${name}', 1); } });
app.timer('timer-${name}', { schedule: '* * * * * *', handler: () => { tell('timer-${name}', 1); } });
`,
  )
  .join(`app.http('rest', { route: '{*rest}', methods: ['GET'], handler: () => ({ body: 'another' }) });`);

const QUEUES = ['one', 'two'].map((name) => ({
  name,
  maxDeliveryCount: 3,
  lockDurationMs: 60_000,
  duplicateDetectionWindowMs: null,
  defaultTtlMs: null,
}));

let app: FixtureApp;
let broker: Broker;
beforeAll(async () => {
  app = await buildFixtureApp(SOURCE);
  const sas = { keyName: 'test', key: Buffer.from('only for this test').toString('base64') };
  broker = await startBroker({ port: 0, dataDir: null, sas, queues: QUEUES });
});
beforeEach(() => clearEvents());
afterAll(async () => {
  await broker.stop();
  app.remove();
});

it.each([
  ['as Azure names it', (name: string) => `AzureWebJobs.${name}.Disabled`, 'true'],
  ['as Azure accepts it on Linux', (name: string) => `AzureWebJobs_${name}_Disabled`, '1'],
  ['as a shell can set it', (name: string) => `AzureWebJobs_${name.replace('-', '_')}_Disabled`, 'True'],
])(
  'a function disabled by a setting, %s, gets no request, message or timer run, and is listed as disabled',
  async (_how, nameSetting, value) => {
    const off = ['http-one', 'queue-one', 'timer-one'];
    const { host, base } = await startFixture(app, {
      settings: {
        Bus: broker.connectionString,
        ...Object.fromEntries(off.map((name) => [nameSetting(name), value])),
        [nameSetting('http-two')]: 'false',
      },
    });
    const client = new ServiceBusClient(broker.connectionString);
    try {
      expect((await fetch(`${base}/api/http-one`)).status).toBe(404);
      expect(await (await fetch(`${base}/api/none`)).text()).toBe('another');
      expect(await (await fetch(`${base}/api/http-two`)).text()).toBe('ran');

      const before = broker.queueCounts()['one']?.active ?? 0;
      for (const { name } of QUEUES) await client.createSender(name).sendMessages({ body: name });
      await until('the other queue’s message', () => eventsOf('queue-two').length === 1);
      expect(broker.queueCounts()['one']?.active).toBe(before + 1);

      const ticks = eventsOf('timer-two').length;
      await until('the other timer to tick', () => eventsOf('timer-two').length >= ticks + 2);
      expect([eventsOf('queue-one'), eventsOf('timer-one')]).toEqual([[], []]);

      const listed = (await (await fetch(`${base}/admin/functions`)).json()) as {
        name: string;
        isDisabled: boolean;
      }[];
      expect(listed).toHaveLength(7);
      expect(listed.filter((fn) => fn.isDisabled).map((fn) => fn.name)).toEqual(off);
      expect(listFunctions(host).filter((line) => line.endsWith('(disabled)'))).toHaveLength(3);
    } finally {
      await client.close();
      await host.stop();
    }
  },
);
