import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import rhea from 'rhea';
import type { Connection, Container, EventContext, ServerConnectionOptions } from 'rhea';
import type { QueueDefinition } from '../../shared/platform/bus/queues.ts';
import { Alarm } from './queue/alarm.ts';
import { LinkRouter } from './links/attach.ts';
import { Dispatcher } from './queue/dispatcher.ts';
import { MAX_MESSAGE_BYTES } from './links/inbound-link.ts';
import { readJournal } from './journal/journal-file.ts';
import { Journal } from './journal/journal.ts';
import { Queue, type QueueHost } from './queue/queue.ts';
import { decodeEntry, type JournalEntry } from './journal/journal-entries.ts';
import { replayEntries } from './journal/restore.ts';
import { corkWrites, keepMessagesEncoded } from './rhea-gaps.ts';
import type { SasKey } from './access/sas.ts';

const HOST = '127.0.0.1'; // a development broker serves its own machine only

// Service Bus uses this size too. A batch then takes only a few frames.
const MAX_FRAME_BYTES = 65_536;

// When the broker stops, clients have this long to close their connections. Then it cuts them.
const CLOSE_GRACE_MS = 250;

/** Where the broker listens, what it keeps, and who may use it. */
export interface BrokerOptions {
  readonly host?: '127.0.0.1';
  /** 0 for any free port. */
  readonly port: number;
  /** The journal's folder, made if missing; null keeps everything in memory. Only one broker at a time may use it. */
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
  /** Messages that a receiver has locked, without dead letters. */
  readonly locked: number;
}

/** A running broker. */
export interface Broker {
  readonly port: number;
  /** For `ServiceBusClient`; contains the key. */
  readonly connectionString: string;
  /** Keyed by the names in the definitions. */
  queueCounts(): Record<string, QueueCounts>;
  /** Closes all connections and the journal. Everything acknowledged is on disk. May be called again. */
  stop(): Promise<void>;
}

// A queue in the journal that is no longer defined keeps its messages, in case its definition comes back.
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

function* decodeEntries(dataDir: string): Generator<JournalEntry> {
  for (const bytes of readJournal(dataDir)) yield decodeEntry(bytes);
}

/** The queues of the journal, with their messages, and the newly defined ones; keyed by name in lower case. */
function restoreQueues(
  dataDir: string | null,
  definitions: readonly QueueDefinition[],
  host: QueueHost,
): Map<string, Queue> {
  const restored = replayEntries(dataDir === null ? [] : decodeEntries(dataDir));
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

/** Handles rhea's events. Each failure needs a handler: without one, a faulty client would end the process. */
function createContainer(router: LinkRouter, connections: Set<Connection>): Container {
  const container = rhea.create_container();
  const forget = ({ connection }: EventContext): void => {
    connections.delete(connection);
    router.closeConnection(connection);
  };
  container.on('connection_open', ({ connection }: EventContext) => {
    connections.add(connection);
    corkWrites(connection);
  });
  container.on('session_open', ({ session }: EventContext) => {
    if (session !== undefined) keepMessagesEncoded(session);
  });
  container.on('sender_open', (context: EventContext) => {
    router.openSender(context);
  });
  container.on('receiver_open', (context: EventContext) => {
    router.openReceiver(context);
  });
  for (const event of ['connection_close', 'connection_error', 'disconnected']) container.on(event, forget);
  // Nothing to do here: each link has its own listeners that clean up.
  const closures = [
    'session_close',
    'session_error',
    'sender_close',
    'sender_error',
    'receiver_close',
    'receiver_error',
  ];
  for (const event of closures) container.on(event, () => undefined);
  // rhea has already ended the connection that failed.
  for (const event of ['protocol_error', 'error']) {
    container.on(event, (error: Error) => {
      process.stderr.write(`Service Bus broker: a connection failed: ${error.message}\n`);
    });
  }
  return container;
}

async function closeConnections(
  connections: ReadonlySet<Connection>,
  sockets: ReadonlySet<Socket>,
): Promise<void> {
  for (const connection of connections) {
    connection.close({ condition: 'amqp:connection:forced', description: 'The broker is stopping.' });
  }
  // Not `once`: it would reject on a socket error, but a client that has already closed is no failure here.
  const closed = Promise.all(
    [...sockets].map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))),
  );
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, CLOSE_GRACE_MS);
  });
  await Promise.race([closed, timeout]);
  clearTimeout(timer);
  for (const socket of sockets) socket.destroy();
}

/** The broker without its network part. */
interface Store {
  readonly queues: ReadonlyMap<string, Queue>;
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  close(): void;
}

/** Throws when the journal is damaged or cannot be written. */
function openStore(dataDir: string | null, definitions: readonly QueueDefinition[]): Store {
  // The queues are restored without a journal: the new journal begins with a snapshot of them.
  const parts: { queues?: Map<string, Queue>; journal?: Journal; dispatcher?: Dispatcher } = {};
  const alarm = new Alarm(Date.now, () => {
    let next = Infinity;
    for (const queue of parts.queues?.values() ?? []) next = Math.min(next, queue.runDeadlines());
    return next;
  });
  try {
    const queues = restoreQueues(dataDir, definitions, {
      now: Date.now,
      append: (entry) => parts.journal?.append(entry),
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
    // A modified outcome is an abandon or a defer. By default rhea would report it as released too.
    sender_options: { treat_modified_as_released: false },
    receiver_options: { autoaccept: false, max_message_size: MAX_MESSAGE_BYTES },
  };
  return container.listen(options as ServerConnectionOptions);
}

/**
 * Starts a Service Bus for development: queues over AMQP, for the real SDK. Acknowledged changes survive the end of the
 * process, also a kill, but not a power cut. Rejects when the port is taken or the journal is damaged.
 */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { sas, queues: definitions } = options;
  const store = openStore(options.dataDir, definitions);
  const served = new Map(definitions.map(({ name }) => [name.toLowerCase(), queueNamed(store.queues, name)]));
  const connections = new Set<Connection>();
  const sockets = new Set<Socket>();
  const router = new LinkRouter({ ...store, queues: served, sas, now: Date.now });
  const server = listen(createContainer(router, connections), options.host ?? HOST, options.port);
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
    await closeConnections(connections, sockets);
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
