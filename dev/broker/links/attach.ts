import type { Connection, EventContext, Receiver as ReceivingLink, Sender } from 'rhea';
import { BrokerError, entityNotFound, notAllowed } from '../broker-error.ts';
import { Claims } from '../access/cbs.ts';
import type { Address, Dispatcher } from '../queue/dispatcher.ts';
import { acceptMessages } from './inbound-link.ts';
import type { Journal } from '../journal/journal.ts';
import { answerManagement } from './management.ts';
import { OutboundLink } from './outbound-link.ts';
import type { Queue } from '../queue/queue.ts';
import { answerRequests } from './request-link.ts';
import { localAttach } from '../rhea-gaps.ts';
import { resourcePath, type SasKey } from '../access/sas.ts';

const CBS = '$cbs';
const MANAGEMENT_SUFFIX = '/$management';
const DEAD_LETTER_SUFFIX = '/$deadletterqueue'; // addresses are compared in lower case

const SETTLED = 1; // snd_settle_mode
const SESSION_FILTER = 'com.microsoft:session-filter';

/** The parts of the broker that links need. */
export interface AttachContext {
  /** By name in lower case. */
  readonly queues: ReadonlyMap<string, Queue>;
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly sas: SasKey;
  now(): number;
}

/** Decides which links may attach. Resolves their addresses, checks their claims and connects them to their handlers. */
export class LinkRouter {
  readonly #context: AttachContext;
  readonly #claims = new WeakMap<Connection, Claims>();
  readonly #receivers = new Map<Connection, Set<OutboundLink>>();

  constructor(context: AttachContext) {
    this.#context = context;
  }

  /** A client attached to receive: messages, or the replies to its requests. */
  openSender({ sender, connection }: EventContext): void {
    if (sender === undefined) return;
    this.#open(sender, connection, (sender.source as { address?: string } | undefined)?.address, (path) => {
      const attach = localAttach(sender);
      if (path === CBS || path.endsWith(MANAGEMENT_SUFFIX)) {
        if (path !== CBS) this.#address(path.slice(0, -MANAGEMENT_SUFFIX.length));
        attach.snd_settle_mode = SETTLED; // clients do not settle replies
        return;
      }
      const address = this.#address(path);
      if (sender.source.filter?.[SESSION_FILTER] !== undefined) {
        throw notAllowed(
          'A sessionful message receiver cannot be created on an entity that does not require sessions.',
        );
      }
      attach.snd_settle_mode = sender.snd_settle_mode;
      attach.rcv_settle_mode = sender.rcv_settle_mode;
      this.#addReceiver(sender, connection, address);
    });
  }

  /** A client attached to send: messages, or requests. */
  openReceiver({ receiver, connection }: EventContext): void {
    if (receiver === undefined) return;
    this.#open(
      receiver,
      connection,
      (receiver.target as { address?: string } | undefined)?.address,
      (path) => {
        const { journal } = this.#context;
        if (path === CBS) {
          answerRequests(receiver, journal, (request) => this.#claimsOf(connection).answer(request));
        } else if (path.endsWith(MANAGEMENT_SUFFIX)) {
          const address = this.#address(path.slice(0, -MANAGEMENT_SUFFIX.length));
          answerRequests(receiver, journal, (request) => answerManagement(address, request));
        } else {
          const { queue, entity } = this.#address(path);
          if (entity.isDeadLetter) throw notAllowed('Messages cannot be sent to a dead-letter subqueue.');
          acceptMessages(receiver, queue, journal);
        }
      },
    );
  }

  /** Ends delivery to the receivers of a closed connection. */
  closeConnection(connection: Connection): void {
    for (const link of this.#receivers.get(connection) ?? []) this.#context.dispatcher.remove(link);
    this.#receivers.delete(connection);
  }

  #claimsOf(connection: Connection): Claims {
    let claims = this.#claims.get(connection);
    if (claims === undefined) {
      claims = new Claims(this.#context.sas, () => this.#context.now());
      this.#claims.set(connection, claims);
    }
    return claims;
  }

  #open(
    link: Sender | ReceivingLink,
    connection: Connection,
    address: string | undefined,
    serve: (path: string) => void,
  ): void {
    link.set_source(link.source);
    link.set_target(link.target);
    const path = resourcePath(address ?? '');
    try {
      if (path !== CBS && !this.#claimsOf(connection).cover(path)) {
        throw new BrokerError(
          'amqp:unauthorized-access',
          401,
          `Unauthorized access: no valid claim on '${path}'.`,
        );
      }
      serve(path);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      const attach = localAttach(link);
      // An attach without source and target refuses the link; the detach that follows has the reason.
      attach.source = undefined;
      attach.target = undefined;
      link.close({ condition: error.condition, description: error.message });
    }
  }

  #address(path: string): Address {
    const isDeadLetter = path.endsWith(DEAD_LETTER_SUFFIX);
    const queue = this.#context.queues.get(isDeadLetter ? path.slice(0, -DEAD_LETTER_SUFFIX.length) : path);
    if (queue === undefined) throw entityNotFound(path);
    return { queue, entity: isDeadLetter ? queue.dead : queue.main };
  }

  #addReceiver(sender: Sender, connection: Connection, address: Address): void {
    const { journal, dispatcher } = this.#context;
    const link = new OutboundLink(sender, address, sender.snd_settle_mode === SETTLED, journal, dispatcher);
    let links = this.#receivers.get(connection);
    if (links === undefined) {
      links = new Set();
      this.#receivers.set(connection, links);
    }
    links.add(link);
    dispatcher.add(link);
    const forget = (): void => {
      dispatcher.remove(link);
      this.#receivers.get(connection)?.delete(link);
    };
    sender.on('sender_close', forget);
    sender.on('sender_error', forget);
    sender.session.on('session_close', forget);
    sender.session.on('session_error', forget);
  }
}
