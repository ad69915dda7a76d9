import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import rhea from 'rhea';
import type { Connection, EventContext } from 'rhea';
import { expect, test } from 'vitest';
import { connect, countsOf, receiveOne, startTestBroker, TEST_SAS } from './test-broker.ts';

test('a wrong key is refused for sending, receiving and managing', async () => {
  const broker = await startTestBroker();
  const wrong = connect(broker.connectionString.replace(TEST_SAS.key, 'another key'));
  const refusal = { code: 'UnauthorizedAccess' };
  await expect(wrong.createSender('work').sendMessages({ body: 1 })).rejects.toMatchObject(refusal);
  const receiver = wrong.createReceiver('work');
  await expect(receiver.receiveMessages(1, { maxWaitTimeInMs: 100 })).rejects.toMatchObject(refusal);
  await expect(receiver.peekMessages(1)).rejects.toMatchObject(refusal);
  expect(countsOf(broker).active).toBe(0);
});

test('a wrong key name is refused', async () => {
  const broker = await startTestBroker();
  const wrong = connect(broker.connectionString.replace('KeyName=test', 'KeyName=other'));
  await expect(wrong.createSender('work').sendMessages({ body: 1 })).rejects.toMatchObject({
    code: 'UnauthorizedAccess',
  });
});

test('a link without any claim is refused', async () => {
  const broker = await startTestBroker();
  const container = rhea.create_container();
  container.on('error', () => undefined);
  const connection = container.connect({ host: '127.0.0.1', port: broker.port, reconnect: false });
  for (const open of [
    () => connection.open_sender('work'),
    () => connection.open_receiver('work'),
    () => connection.open_sender('work/$management'),
  ]) {
    const link = open();
    const name = link.is_sender() ? 'sender_error' : 'receiver_error';
    await new Promise<void>((resolve) =>
      link.once(name, () => {
        resolve();
      }),
    );
    expect(link.error).toMatchObject({ condition: 'amqp:unauthorized-access' });
  }
  connection.close();
  await once(connection, 'connection_close');
});

test('an unknown queue does not exist', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const missing = { code: 'MessagingEntityNotFound' };
  await expect(client.createSender('nowhere').sendMessages({ body: 1 })).rejects.toMatchObject(missing);
  await expect(client.createReceiver('nowhere').peekMessages(1)).rejects.toMatchObject(missing);
});

test('queue names are compared without regard to case', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  await client.createSender('WORK').sendMessages({ body: 'x' });
  expect(await receiveOne(client.createReceiver('Work'))).toMatchObject({ body: 'x' });
});

test('nothing can be sent to a dead-letter subqueue', async () => {
  const broker = await startTestBroker();
  const sender = connect(broker.connectionString).createSender('work/$DeadLetterQueue');
  await expect(sender.sendMessages({ body: 1 })).rejects.toThrow('dead-letter');
});

test('the queues have no sessions', async () => {
  const broker = await startTestBroker();
  await expect(connect(broker.connectionString).acceptSession('work', 's')).rejects.toThrow('session');
});

test('garbage on the wire ends its own connection only', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const sender = client.createSender('work');
  await sender.sendMessages({ body: 1 });
  for (const garbage of [
    'GET / HTTP/1.1\r\n\r\n',
    'AMQP\u0000\u0001\u0000\u0000\u0000\u0000\u0000\u0009\u0001\u0000\u0000\u0000\u0000',
  ]) {
    const socket = net.connect(broker.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.end(garbage);
    socket.resume();
    await once(socket, 'close');
  }
  await sender.sendMessages({ body: 2 });
  expect(countsOf(broker).active).toBe(2);
});

test('a message that cannot be read is refused, and the connection stays open', async () => {
  const broker = await startTestBroker();
  await connect(broker.connectionString).createSender('work').sendMessages({ body: 1 });
  // A plain AMQP client with its own claim, because the SDK cannot send malformed messages.
  const { connection, close } = await connectWithClaim(broker.port);
  const sender = connection.open_sender('work');
  await new Promise<void>((resolve) =>
    sender.once('sendable', () => {
      resolve();
    }),
  );
  const outcomes: string[] = [];
  const settled = new Promise<void>((resolve) => {
    for (const outcome of ['accepted', 'rejected']) {
      sender.on(outcome, () => {
        if (outcomes.push(outcome) === 3) resolve();
      });
    }
  });
  sender.send(Buffer.from([0, 0x53, 0x77, 0xa1, 200, 1]), 'cut off', 0);
  sender.send(Buffer.from('nonsense'), 'no section', 0);
  sender.send({ body: 'good' });
  await settled;
  expect(outcomes.sort()).toEqual(['accepted', 'rejected', 'rejected']);
  expect(countsOf(broker).active).toBe(2);
  await close();
});

function signToken(audience: string): string {
  const resource = encodeURIComponent(audience);
  const expiry = Math.floor(Date.now() / 1000) + 60;
  const signature = createHmac('sha256', TEST_SAS.key)
    .update(`${resource}\n${String(expiry)}`)
    .digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${String(expiry)}&skn=${TEST_SAS.keyName}`;
}

async function connectWithClaim(
  port: number,
): Promise<{ connection: Connection; close: () => Promise<void> }> {
  const audience = `sb://127.0.0.1:${String(port)}/work`;
  const container = rhea.create_container();
  const connection = container.connect({ host: '127.0.0.1', port, reconnect: false });
  const replies = connection.open_receiver({ name: 'replies', source: { address: '$cbs' } });
  await new Promise<void>((resolve) =>
    replies.once('receiver_open', () => {
      resolve();
    }),
  );
  const requests = connection.open_sender('$cbs');
  const reply = new Promise<EventContext>((resolve) => replies.once('message', resolve));
  requests.send({
    message_id: 1,
    reply_to: 'replies',
    application_properties: {
      operation: 'put-token',
      name: audience,
      type: 'servicebus.windows.net:sastoken',
    },
    body: signToken(audience),
  });
  const { message } = await reply;
  expect(message?.application_properties).toMatchObject({ 'status-code': 202 });
  const close = async (): Promise<void> => {
    connection.close();
    await once(connection, 'connection_close');
  };
  return { connection, close };
}
