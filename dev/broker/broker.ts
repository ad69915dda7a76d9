import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import rhea from 'rhea';
import type { Connection, Container, EventContext, ServerConnectionOptions } from 'rhea';
import type { QueueDefinition } from '../../shared/platform/bus/queues.ts';
import { Alarm } from './queue/alarm.ts';
import { LinkDesk } from './links/attach.ts';
import { Dispatcher } from './queue/dispatcher.ts';
import { MAX_MESSAGE_BYTES } from './links/inbound-link.ts';
import { readJournal } from './journal/journal-file.ts';
import { Journal } from './journal/journal.ts';
import { Queue, type QueueHost } from './queue/queue.ts';
import { decodeRecord, type JournalRecord } from './journal/journal-records.ts';
import { replayRecords } from './journal/restore.ts';
import { corkWrites, keepMessagesEncoded } from './rhea-gaps.ts';
import type { SasKey } from './access/sas.ts';

const HOST = '127.0.0.1'; // a development broker is for its own machine

// Large enough that a batch takes a few frames only; Service Bus itself uses this size.
const MAX_FRAME_BYTES = 65_536;

// A stopping broker gives its clients this long to close before it cuts their connections.
const CLOSE_GRACE_MS = 250;

/** Where the broker listens, what it keeps, and who may use it. */
export interface BrokerOptions {
  readonly host?: '127.0.0.1';
  /** 0 for any free port. */
  readonly port: number;
  /** Where the journal lives, made if missing; null keeps everything in memory. One broker at a time may use it. */
  readonly dataDir: string | null;
  readonly sas: SasKey;
  readonly queues: readonly QueueDefinition[];
}

/** What a queue holds. `active` includes locked messages, as Service Bus counts. */
export interface QueueCounts {
  readonly active: number;
  readonly deadLettered: number;
  readonly scheduled: number;
  readonly deferred: number;
  /** Messages of the queue itself (not its dead letters) that a receiver holds. */
  readonly locked: number;
}

/** A running broker. */
export interface Broker {
  readonly port: number;
  /** For `ServiceBusClient`; holds the key. */
  readonly connectionString: string;
  /** By the names in the definitions. */
  queueCounts(): Record<string, QueueCounts>;
  /** Closes all connections and the journal; what was acknowledged is on disk. May be called again. */
  stop(): Promise<void>;
}

// What the journal holds of a queue that is no longer defined is kept, in case its definition comes back.
function undefinedQueue(name: string): QueueDefinition {
  const forever = Number.MAX_SAFE_INTEGER;
  return {
    name,
    maxDeliveryCount: forever,
    lockDurationMs: forever,
    duplicateDetectionWindowMs: forever,
    defaultTtlMs: null,
  };
}

function* decodeRecords(dataDir: string): Generator<JournalRecord> {
  for (const bytes of readJournal(dataDir)) yield decodeRecord(bytes);
}

/** The queues that the journal knows and those newly defined, with what the journal holds; keyed by name in lower case. */
function restoreQueues(
  dataDir: string | null,
  definitions: readonly QueueDefinition[],
  host: QueueHost,
): Map<string, Queue> {
  const restored = replayRecords(dataDir === null ? [] : decodeRecords(dataDir));
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  const ids = new Map(restored.ids);
  for (const { name } of definitions) if (!ids.has(name)) ids.set(name, 1 + Math.max(0, ...ids.values()));
  const queues = new Map<string, Queue>();
  for (const [name, id] of ids) {
    const queue = new Queue(id, byName.get(name) ?? undefinedQueue(name), host);
    const state = restored.queues.get(id);
    if (state !== undefined) queue.restore(state);
    queues.set(name.toLowerCase(), queue);
  }
  return queues;
}

function countQueue(queue: Queue): QueueCounts {
  const { active, scheduled, deferred, locked } = queue.main.counts;
  return {
    active,
    deadLettered: queue.dead.counts.active + queue.dead.counts.deferred,
    scheduled,
    deferred,
    locked,
  };
}

/** Wires rhea's events. Without a handler for each of the failures, a faulty peer would end the process. */
function createContainer(desk: LinkDesk, connections: Set<Connection>): Container {
  const container = rhea.create_container();
  const forget = ({ connection }: EventContext): void => {
    connections.delete(connection);
    desk.closeConnection(connection);
  };
  container.on('connection_open', ({ connection }: EventContext) => {
    connections.add(connection);
    corkWrites(connection);
  });
  container.on('session_open', ({ session }: EventContext) => {
    if (session !== undefined) keepMessagesEncoded(session);
  });
  container.on('sender_open', (context: EventContext) => {
    desk.openSender(context);
  });
  container.on('receiver_open', (context: EventContext) => {
    desk.openReceiver(context);
  });
  for (const event of ['connection_close', 'connection_error', 'disconnected']) container.on(event, forget);
  // The listeners of a link clean up after it.
  const closures = [
    'session_close',
    'session_error',
    'sender_close',
    'sender_error',
    'receiver_close',
    'receiver_error',
  ];
  for (const event of closures) container.on(event, () => undefined);
  // rhea ends the connection that it comes from.
  for (const event of ['protocol_error', 'error']) {
    container.on(event, (error: Error) => {
      process.stderr.write(`Service Bus broker: a connection failed: ${error.message}\n`);
    });
  }
  return container;
}

async function hangUp(connections: ReadonlySet<Connection>, sockets: ReadonlySet<Socket>): Promise<void> {
  for (const connection of connections) {
    connection.close({ condition: 'amqp:connection:forced', description: 'The broker is stopping.' });
  }
  // Not `once`, which would fail with a socket's error: a peer that has already closed is fine here.
  const closed = Promise.all(
    [...sockets].map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))),
  );
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise((resolve) => {
    timer = setTimeout(resolve, CLOSE_GRACE_MS);
  });
  await Promise.race([closed, patience]);
  clearTimeout(timer);
  for (const socket of sockets) socket.destroy();
}

/** The broker without its network side. */
interface Store {
  readonly queues: ReadonlyMap<string, Queue>;
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  close(): void;
}

/** Throws when the journal is damaged or cannot be written. */
function openStore(dataDir: string | null, definitions: readonly QueueDefinition[]): Store {
  // No journal is needed while the queues are restored: a new one begins with a snapshot of them.
  const parts: { queues?: Map<string, Queue>; journal?: Journal; dispatcher?: Dispatcher } = {};
  const alarm = new Alarm(Date.now, () => {
    let next = Infinity;
    for (const queue of parts.queues?.values() ?? []) next = Math.min(next, queue.runDeadlines());
    return next;
  });
  try {
    const queues = restoreQueues(dataDir, definitions, {
      now: Date.now,
      append: (record) => parts.journal?.append(record),
      wakeAt: (atMs) => {
        alarm.wakeAt(atMs);
      },
      ready: (entity) => parts.dispatcher?.wake(entity),
    });
    const journal = new Journal(dataDir, function* () {
      for (const queue of queues.values()) yield* queue.snapshot();
    });
    const dispatcher = new Dispatcher(journal);
    Object.assign(parts, { queues, journal, dispatcher });
    const close = (): void => {
      alarm.stop();
      journal.close();
    };
    return { queues, journal, dispatcher, close };
  } catch (error) {
    alarm.stop();
    throw error;
  }
}

function listen(container: Container, host: string, port: number): Server {
  const options = {
    host,
    port,
    tcp_no_delay: true,
    max_frame_size: MAX_FRAME_BYTES,
    // A modified outcome is an abandon or a defer; by default rhea would report it as released as well.
    sender_options: { treat_modified_as_released: false },
    receiver_options: { autoaccept: false, max_message_size: MAX_MESSAGE_BYTES },
  };
  return container.listen(options as ServerConnectionOptions);
}

/**
 * Starts a Service Bus for development: queues over AMQP, for the real SDK. Everything acknowledged survives the
 * process, however it ends, but not a power cut. Rejects when the port is taken or the journal is damaged.
 */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { sas, queues: definitions } = options;
  const store = openStore(options.dataDir, definitions);
  const served = new Map(definitions.map(({ name }) => [name.toLowerCase(), queueNamed(store.queues, name)]));
  const connections = new Set<Connection>();
  const sockets = new Set<Socket>();
  const desk = new LinkDesk({ ...store, queues: served, sas, now: Date.now });
  const server = listen(createContainer(desk, connections), options.host ?? HOST, options.port);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  try {
    await once(server, 'listening');
  } catch (error) {
    store.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  let stopping: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    server.close();
    await hangUp(connections, sockets);
    store.close();
  };
  return {
    port,
    connectionString: `Endpoint=sb://${HOST}:${String(port)};SharedAccessKeyName=${sas.keyName};SharedAccessKey=${sas.key};UseDevelopmentEmulator=true;`,
    queueCounts: () =>
      Object.fromEntries(definitions.map(({ name }) => [name, countQueue(queueNamed(served, name))])),
    stop: () => (stopping ??= stop()),
  };
}

function queueNamed(queues: ReadonlyMap<string, Queue>, name: string): Queue {
  const queue = queues.get(name.toLowerCase());
  if (queue === undefined) throw new Error(`no queue is called ${name}`);
  return queue;
}
