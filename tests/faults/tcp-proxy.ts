import { createServer, connect, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/** The direction of bytes: `up` to the server, `down` to the client. */
export type Direction = 'up' | 'down';

/** A TCP proxy that can hold traffic, so that a process can be killed at an exact point of a conversation. */
export interface TcpProxy {
  readonly port: number;
  /** Holds bytes of this direction. If the sender's connection ends, held bytes are lost. */
  hold(direction: Direction): void;
  /** Passes everything again, held bytes first. */
  release(): void;
  /** Ends every connection, and refuses new ones until `accept`. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
  /** The number of held bytes. */
  waiting(direction: Direction): number;
  /** The number of bytes that were sent, held ones too, since the proxy's start. */
  sent(direction: Direction): number;
  stop(): Promise<void>;
}

class Pair {
  readonly #ends: Readonly<Record<Direction, { from: Socket; to: Socket; waiting: Buffer[] }>>;

  constructor(
    client: Socket,
    server: Socket,
    isHeld: (direction: Direction) => boolean,
    count: (direction: Direction, bytes: number) => void,
  ) {
    this.#ends = {
      up: { from: client, to: server, waiting: [] },
      down: { from: server, to: client, waiting: [] },
    };
    for (const direction of ['up', 'down'] as const) {
      const { from, to, waiting } = this.#ends[direction];
      from.setNoDelay(true);
      from.on('data', (chunk: Buffer) => {
        count(direction, chunk.length);
        if (isHeld(direction)) waiting.push(chunk);
        else to.write(chunk);
      });
      from.on('error', () => undefined); // a killed process resets its connections
      from.on('close', () => {
        waiting.length = 0;
        to.destroy();
      });
    }
  }

  flush(direction: Direction): void {
    const { to, waiting } = this.#ends[direction];
    for (const chunk of waiting.splice(0)) to.write(chunk);
  }

  waiting(direction: Direction): number {
    return this.#ends[direction].waiting.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  destroy(): void {
    this.#ends.up.from.destroy();
    this.#ends.up.to.destroy();
  }
}

/** Starts a proxy on a free port of 127.0.0.1. `target` is a port of 127.0.0.1. */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const held = new Set<Direction>();
  const pairs = new Set<Pair>();
  const sent = { up: 0, down: 0 };
  const count = (direction: Direction, bytes: number): void => {
    sent[direction] += bytes;
  };
  const server = createServer((client) => {
    const pair = new Pair(client, connect(target, '127.0.0.1'), (direction) => held.has(direction), count);
    pairs.add(pair);
    client.on('close', () => pairs.delete(pair));
  });
  await listen(server, 0);
  const { port } = server.address() as AddressInfo;
  const refuse = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const pair of pairs) pair.destroy();
    await closed;
  };
  return {
    port,
    hold: (direction) => held.add(direction),
    release() {
      const directions = [...held];
      held.clear();
      for (const pair of pairs) for (const direction of directions) pair.flush(direction);
    },
    refuse,
    accept: () => listen(server, port),
    waiting: (direction) => [...pairs].reduce((sum, pair) => sum + pair.waiting(direction), 0),
    sent: (direction) => sent[direction],
    stop: refuse,
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
