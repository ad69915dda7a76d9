import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import rhea from 'rhea';
import type { Connection, Delivery, EventContext, Sender, Session, Typed } from 'rhea';

/*
 * The broker needs parts of rhea that its published types do not have. They come from the source of rhea 3.0. The tests that
 * use the real SDK fail when one of them changes.
 */

interface TypeReader {
  read(): Typed;
}

interface TypeWriter {
  write(value: Typed): void;
  toBuffer(): Buffer;
}

interface UntypedTypes {
  readonly Reader: new (buffer: Buffer) => TypeReader;
  readonly Writer: new () => TypeWriter;
  Map32(items: readonly Typed[]): Typed;
  List32(items: readonly Typed[]): Typed;
}

interface Describable {
  described(): unknown;
}

interface UntypedMessage {
  accepted(): Describable;
  rejected(fields: { error: { condition: string; description: string } }): Describable;
}

const untypedTypes = rhea.types as unknown as UntypedTypes;
const untypedMessage = rhea.message as unknown as UntypedMessage;

interface SessionInternals {
  on_transfer: (frame: TransferFrame) => void;
  readonly outgoing: {
    available(): number;
    readonly next_delivery_id: number;
    readonly next_pending_delivery: number;
  };
}

interface TransferFrame {
  readonly performative: { message_format: number | null | undefined };
}

interface SenderInternals {
  readonly local: LocalLink;
  _get_drain: () => boolean;
  readonly _draining: boolean;
  readonly _drained: boolean;
  delivery_count: number;
  credit: number;
}

interface LocalLink {
  readonly attach: Record<
    'source' | 'target' | 'snd_settle_mode' | 'rcv_settle_mode' | 'max_message_size',
    unknown
  >;
}

interface ConnectionInternals {
  readonly socket: Socket;
  _process: () => void;
  _register: () => void;
}

/** Reads the one AMQP value that the bytes begin with. */
export function readValue(bytes: Buffer): Typed {
  return new untypedTypes.Reader(bytes).read();
}

/** The bytes of one AMQP value. */
export function writeValue(value: Typed): Buffer {
  const writer = new untypedTypes.Writer();
  writer.write(value);
  return writer.toBuffer();
}

/** A section of a message: a described map. */
export function mapSection(code: number, items: readonly Typed[]): Buffer {
  return writeValue(rhea.types.described(rhea.types.wrap_ulong(code), untypedTypes.Map32(items)) as Typed);
}

/** A section of a message: a described list. */
export function listSection(code: number, items: readonly Typed[]): Buffer {
  return writeValue(rhea.types.described(rhea.types.wrap_ulong(code), untypedTypes.List32(items)) as Typed);
}

// No client sends this format. It marks a message that rhea would otherwise decode.
const UNDECODED_FORMAT = 0x7fff_0001;

/** The message format of a Service Bus batch: each data section of the body is one encoded message. */
const BATCH_FORMAT = 0x8001_3700;

/**
 * Makes rhea hand over every message on the session as bytes. By default it decodes messages of the standard format.
 * Encoding them again would lose sizes and number types, and a malformed message would end the connection.
 */
export function keepMessagesEncoded(session: Session): void {
  const internals = session as unknown as SessionInternals;
  const onTransfer = internals.on_transfer.bind(session);
  internals.on_transfer = (frame) => {
    frame.performative.message_format ||= UNDECODED_FORMAT;
    onTransfer(frame);
  };
}

/** The bytes of a message that arrived on a session set up by `keepMessagesEncoded`. */
export function receivedMessage(context: EventContext): {
  bytes: Buffer;
  batch: boolean;
  delivery: Delivery;
} {
  const { message, format, delivery } = context as unknown as {
    message: Buffer;
    format: number;
    delivery: Delivery;
  };
  return { bytes: message, batch: format === BATCH_FORMAT, delivery };
}

/** Joins the frames of one turn of the event loop into one write: by default rhea makes a system call for every frame. */
export function corkWrites(connection: Connection): void {
  const internals = connection as unknown as ConnectionInternals;
  const processTurn = internals._process.bind(connection);
  internals._process = () => {
    internals.socket.cork();
    try {
      processTurn();
    } finally {
      internals.socket.uncork();
    }
  };
}

/** The fields of the attach frame that the broker sends as its answer. */
export function localAttach(link: Sender | EventContext['receiver']): LocalLink['attach'] {
  return (link as unknown as { local: LocalLink }).local.attach;
}

/** Deliveries handed to rhea on the sender's session that are not on the wire yet. */
export function unwrittenDeliveries(sender: Sender): number {
  const { outgoing } = sender.session as unknown as SessionInternals;
  return outgoing.next_delivery_id - outgoing.next_pending_delivery;
}

/** How many deliveries the sender can take now. rhea lowers the credit only when a delivery is on the wire. */
export function sendableNow(sender: Sender): number {
  const { outgoing } = sender.session as unknown as SessionInternals;
  const { credit } = sender as unknown as SenderInternals;
  return Math.min(credit - unwrittenDeliveries(sender), outgoing.available());
}

/**
 * Makes the sender answer a drain also when all credit is used up. By default rhea sends no answer then. The Service Bus
 * SDK waits for one and closes its link.
 */
export function answerEveryDrain(sender: Sender): void {
  const internals = sender as unknown as SenderInternals;
  internals._get_drain = () => {
    if (!internals._draining || !internals._drained) return false;
    internals.delivery_count += internals.credit;
    internals.credit = 0;
    return true;
  };
}

/** Tells the client that all its credit is used up. */
export function finishDrain(sender: Sender): void {
  sender.set_drained(true);
  (sender.connection as unknown as ConnectionInternals)._register();
}

/** Answers a receiver's settlement of a delivery, and frees rhea's memory of it. */
export function settleDelivery(
  delivery: Delivery,
  failure: { condition: string; description: string } | null,
): void {
  const outcome = failure === null ? untypedMessage.accepted() : untypedMessage.rejected({ error: failure });
  delivery.update(true, outcome.described());
  // The client has settled and does not settle again. Without this, rhea would wait for it and keep the delivery.
  (delivery as { remote_settled: boolean }).remote_settled = true;
}
