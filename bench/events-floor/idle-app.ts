import { app } from '@azure/functions';

// Receives the same batches as the app's own functions, and does nothing with them.
for (const queueName of ['audit-events', 'usage-events']) {
  const options = {
    connection: 'SERVICE_BUS_CONNECTION',
    queueName,
    cardinality: 'many' as const,
    dataType: 'binary',
    handler: () => undefined,
  };
  app.serviceBusQueue(`${queueName}-idle`, options);
}
