import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { findTypeScriptNode } from '../../dev/processes/node-command.ts';
import type { BenchStack } from '../bench-stack.ts';

/** The size of its pool. More connections did not make it faster. */
const CONNECTIONS = 16;

/** The running service of server.ts. */
export interface Peer {
  readonly port: number;
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

/** Starts the peer on the stack's core database, with the database role of requests. It ends with this process. */
export async function startPeer({ stack }: BenchStack): Promise<Peer> {
  const main = fileURLToPath(new URL('server.ts', import.meta.url));
  const args = [main, stack.settings['CORE_DATABASE_URL'] ?? '', String(CONNECTIONS)];
  const child = spawn(findTypeScriptNode(), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [message] = (await once(child, 'message')) as [unknown];
  const { port } = z.object({ port: z.int() }).parse(message);
  return {
    port,
    pid: child.pid,
    async stop() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
