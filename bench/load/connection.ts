import { connect, type Socket } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const LENGTH = Buffer.from('content-length: ');
/** The status follows `HTTP/1.1 `. */
const STATUS_AT = 9;

/**
 * One HTTP/1.1 connection with one request at a time. The client shares the processor with the measured service, so it parses
 * only what the development host sends: a status line, a lower-case content-length, no chunks.
 */
export class LoadConnection {
  readonly #socket: Socket;
  readonly #onAnswer: (status: number) => void;
  #rest: Buffer | undefined;

  private constructor(socket: Socket, onAnswer: (status: number) => void, onLost: (error: Error) => void) {
    this.#socket = socket;
    this.#onAnswer = onAnswer;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', onLost);
    socket.on('close', () => onLost(new Error('the host closed a connection')));
  }

  /** Connects. `onLost` is called when the connection ends for any reason other than `close`. */
  static open(
    port: number,
    onAnswer: (status: number) => void,
    onLost: (error: Error) => void,
  ): Promise<LoadConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new LoadConnection(socket, onAnswer, onLost));
      });
    });
  }

  /** Sends a whole request. Its bytes may be changed after the answer. */
  send(request: Buffer): void {
    this.#socket.write(request);
  }

  /** Closes the connection without calling `onLost`. */
  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    const headEnd = bytes.indexOf(HEAD_END);
    const at = headEnd < 0 ? -1 : bytes.indexOf(LENGTH);
    const length =
      at < 0 || at > headEnd
        ? 0
        : parseInt(bytes.toString('latin1', at + LENGTH.length, at + LENGTH.length + 10), 10);
    if (headEnd < 0 || bytes.length < headEnd + HEAD_END.length + length) {
      this.#rest = bytes;
      return;
    }
    this.#rest = undefined;
    this.#onAnswer(parseInt(bytes.toString('latin1', STATUS_AT, STATUS_AT + 3), 10));
  }
}
