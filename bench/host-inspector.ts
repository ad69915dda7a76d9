import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Stack } from '../dev/stack/start-stack.ts';

const OPEN_TIMEOUT_MS = 5_000;
const POLL_MS = 50;
const LISTENING = /Debugger listening on (ws:\/\/\S+)/;

/** Settings for a host whose inspector is needed later: it then listens on a free port. */
export const INSPECTABLE: Readonly<Record<string, string>> = { NODE_OPTIONS: '--inspect-port=127.0.0.1:0' };

const reply = z.looseObject({
  id: z.int().optional(),
  result: z.unknown().optional(),
  error: z.looseObject({ message: z.string() }).optional(),
});

/** A connection to the host process's inspector (the Chrome DevTools protocol). */
export class HostInspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: z.output<typeof reply>) => void>();
  #sent = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const answer = reply.parse(JSON.parse(String(data)));
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    });
  }

  /**
   * Makes the host's inspector listen, and connects to it. The host must have been started with {@link INSPECTABLE}.
   * @throws Error when it does not listen in time.
   */
  static async open(stack: Stack): Promise<HostInspector> {
    const log = path.join(stack.folder, 'logs', 'host.log');
    if (stack.host.pid === undefined) throw new Error('the functions host does not run');
    // After a restart, the log also has the address of an older inspector.
    const seen = readFileSync(log, 'utf8').length;
    process.kill(stack.host.pid, 'SIGUSR1');
    const deadline = Date.now() + OPEN_TIMEOUT_MS;
    for (;;) {
      const url = LISTENING.exec(readFileSync(log, 'utf8').slice(seen))?.[1];
      if (url !== undefined) return new HostInspector(await connect(url));
      if (Date.now() > deadline) throw new Error('the functions host has no inspector');
      await delay(POLL_MS);
    }
  }

  /** Calls a method of the protocol. Throws the protocol's error. */
  async call(method: string, params: object = {}): Promise<unknown> {
    this.#sent += 1;
    const id = this.#sent;
    const answered = new Promise<z.output<typeof reply>>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const answer = await answered;
    this.#waiting.delete(id);
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  }

  /** Closes the connection. */
  close(): void {
    this.#socket.close();
  }
}

function connect(url: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.addEventListener('open', () => resolve(socket));
    socket.addEventListener('error', () => reject(new Error(`no inspector at ${url}`)));
  });
}
