import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const keys = z.object({ writer: z.string(), reader: z.string(), owner: z.string() });

/** `.local/stack.json`: the running stack's address and keys. Written by `npm start`. */
const stackFile = z.object({
  base_url: z.url(),
  tenants: z.record(z.string(), keys),
  operator: z.string(),
  service_bus: z.string(),
  stripe: z.object({ url: z.url(), secret_key: z.string(), webhook_secret: z.string() }).nullable(),
});

/** What a client needs to know of the running stack. */
export type StackFacts = z.output<typeof stackFile>;

/** The folder of `npm start`. */
const FOLDER = fileURLToPath(new URL('../../.local', import.meta.url));

/**
 * Reads the running stack's address and keys. `folder`: that of `npm start -- --folder`.
 * @throws Error that tells how to start a stack, when none runs.
 */
export function readStackFile(folder = FOLDER): StackFacts {
  let text: string;
  try {
    text = readFileSync(path.join(folder, 'stack.json'), 'utf8');
  } catch {
    throw new Error('No stack is running here. Start it with `npm start`, and leave it running.');
  }
  return stackFile.parse(JSON.parse(text));
}
