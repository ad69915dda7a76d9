import { readFileSync } from 'node:fs';
import { z } from 'zod';

const keys = z.object({ writer: z.string(), reader: z.string(), owner: z.string() });

/** `.local/stack.json`: where the running stack is, and its keys. Written by `npm start`. */
const stackFile = z.object({
  base_url: z.url(),
  tenants: z.record(z.string(), keys),
  operator: z.string(),
});

/** The running stack, as a client needs it. */
export type StackFacts = z.output<typeof stackFile>;

/** Where `npm start` says where it is. */
const STACK_FILE = new URL('../../.local/stack.json', import.meta.url);

/**
 * Reads where the running stack is.
 * @throws Error with what to do when none runs.
 */
export function readStackFile(): StackFacts {
  let text: string;
  try {
    text = readFileSync(STACK_FILE, 'utf8');
  } catch {
    throw new Error('No stack is running here. Start it with `npm start`, and leave it running.');
  }
  return stackFile.parse(JSON.parse(text));
}
