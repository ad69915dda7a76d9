import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { findTypeScriptNode } from '../../dev/processes/node-command.ts';
import { loadAnswer, type LoadOrder, type LoadResult } from './protocol.ts';

/**
 * The client that makes load. It runs in a separate process and uses plain sockets with one request at a time on each. It
 * shares the two cores with the measured service, as pgbench does. Each result includes its own processor time.
 */
export class LoadClient {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts the process. */
  static async start(): Promise<LoadClient> {
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    const child = spawn(findTypeScriptNode(), [main], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    await once(child, 'message');
    return new LoadClient(child);
  }

  /**
   * Runs one order.
   * @throws Error when a connection was lost or an answer was not 2xx, because such a run measures something else.
   */
  async run(order: LoadOrder): Promise<LoadResult> {
    this.#child.send(order);
    const [message] = (await once(this.#child, 'message')) as [unknown];
    const answer = loadAnswer.parse(message);
    if (answer.type === 'failed') throw new Error(`the load client: ${answer.message}`);
    const { statuses } = answer.result;
    if (Object.keys(statuses).some((status) => !status.startsWith('2'))) {
      throw new Error(`not all answers were 2xx: ${JSON.stringify(statuses)}`);
    }
    return answer.result;
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }
}
