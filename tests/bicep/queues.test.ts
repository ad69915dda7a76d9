import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { deployedQueues } from '../../dev/bicep/queue-definitions.ts';
import { QUEUES } from '../../shared/platform/bus/queues.ts';
import { compiled, ofType } from './compiled.ts';

const made = await compiled();
const FILE = path.join(import.meta.dirname, '../../bicep/queues.json');
const SENDER = '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39';
const RECEIVER = '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0';

it('bicep/queues.json has the queues of the code: npm run bicep:queues writes it', () => {
  expect(JSON.parse(readFileSync(FILE, 'utf8'))).toEqual(deployedQueues());
});

describe.runIf(made !== undefined)('Service Bus', () => {
  it.each(made?.predictions ?? [])(
    'in $environment is a namespace that only identities reach, from inside',
    (prediction) => {
      const [namespace, ...others] = ofType(prediction, 'Microsoft.ServiceBus/namespaces');
      expect(others).toEqual([]);
      // Azure.ServiceBus.DisableLocalAuth, Azure.ServiceBus.MinTLS
      expect(namespace?.properties).toMatchObject({
        disableLocalAuth: true,
        minimumTlsVersion: '1.2',
        publicNetworkAccess: 'Disabled',
      });
      // Only this tier has private endpoints.
      expect(namespace?.whole['sku']).toMatchObject({ name: 'Premium', tier: 'Premium' });
    },
  );

  it.each(made?.predictions ?? [])('in $environment has each queue, with its settings', (prediction) => {
    const queues = ofType(prediction, 'Microsoft.ServiceBus/namespaces/queues');
    expect(queues.map((one) => one.name).sort()).toEqual(QUEUES.map((one) => one.name).sort());
    for (const queue of queues) {
      expect(queue.properties, queue.name).toMatchObject({
        maxDeliveryCount: 10,
        lockDuration: 'PT5M',
        requiresDuplicateDetection: true,
        duplicateDetectionHistoryTimeWindow: 'PT10M',
        // A message is never lost by age, unless it is worthless then: a mail's token.
        deadLetteringOnMessageExpiration: queue.name !== 'notifications',
        requiresSession: false,
      });
    }
  });

  it.each(made?.predictions ?? [])(
    'in $environment the app sends to each queue, receives from those that it consumes, and no more',
    (prediction) => {
      const onBus = ofType(prediction, 'Microsoft.Authorization/roleAssignments').filter((one) =>
        one.id.includes('/Microsoft.ServiceBus/'),
      );
      const given = onBus.map((one) => {
        const queue = /\/queues\/([^/]+)\//.exec(one.id)?.[1];
        return `${queue ?? 'the whole namespace'}: ${String(one.properties['roleDefinitionId']).split('/').at(-1) ?? ''}`;
      });
      const wanted = QUEUES.flatMap(({ name }) => [
        `${name}: ${SENDER}`,
        // Whoever reads it has the tokens of mails, so only their sender does.
        ...(name === 'notifications' ? [] : [`${name}: ${RECEIVER}`]),
      ]);
      expect(given.sort()).toEqual(wanted.sort());
      expect(new Set(onBus.map((one) => one.name)).size, 'names of assignments').toBe(onBus.length);
    },
  );
});
