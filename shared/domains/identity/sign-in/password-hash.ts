import { randomBytes } from 'node:crypto';
import { bulkhead, BulkheadRejectedError } from 'cockatiel';
import { Problem } from '../../../platform/call/problem.ts';

/**
 * Of argon2id, as OWASP's Password Storage Cheat Sheet has them: 19 MiB, two passes, one thread. Each hash names its own, so
 * they can be raised at any time: a weaker hash is made again at the next sign-in.
 */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** Hashes at once in a process: 38 MiB of memory, and half of libuv's four threads, so that files and names wait for none. */
const AT_ONCE = 2;
/** Sign-ins that may wait for a hash: some seconds of work. Beyond that, a wait is longer than a person's patience. */
const WAITING_MAX = 100;

const turns = bulkhead(AT_ONCE, WAITING_MAX);

/** The library, loaded when a password is first needed: its binary would make every cold start longer. */
async function load() {
  // A CommonJS module: its exports are the default export, in Node.js and in the bundle.
  const { default: argon2 } = await import('@node-rs/argon2');
  // Nobody's. To check against it takes as long as to check against a person's.
  const nobodys = await argon2.hash(randomBytes(32), PARAMETERS);
  return { argon2, nobodys };
}

let loaded: ReturnType<typeof load> | undefined;

async function withArgon<T>(run: (library: Awaited<ReturnType<typeof load>>) => Promise<T>): Promise<T> {
  const library = await (loaded ??= load());
  try {
    return await turns.execute(() => run(library));
  } catch (error) {
    if (!(error instanceof BulkheadRejectedError)) throw error;
    throw new Problem('DEPENDENCY_UNAVAILABLE', {
      detail: 'Too many people are signing in: try again in a moment.',
      headers: { 'retry-after': '2' },
    });
  }
}

/** One spelling of a password (NFKC): keyboards write one letter in several ways. */
export function normalisePassword(password: string): string {
  return password.normalize('NFKC');
}

/** The hash of a password, in PHC format. @throws Problem 503 when too many wait. */
export function hashPassword(password: string): Promise<string> {
  return withArgon(({ argon2 }) => argon2.hash(normalisePassword(password), PARAMETERS));
}

/**
 * Whether the password is that of the hash. Without a hash it is checked against nobody's, so that the answer takes as long, and is
 * false. @throws Problem 503 when too many wait.
 */
export async function isPasswordOf(hash: string | null, password: string): Promise<boolean> {
  return withArgon(async ({ argon2, nobodys }) => {
    const fits = await argon2.verify(hash ?? nobodys, normalisePassword(password));
    return fits && hash !== null;
  });
}

/** Whether the hash was made with less than the present parameters. */
export async function isWeakHash(hash: string): Promise<boolean> {
  const { argon2 } = await (loaded ??= load());
  const { memoryCost, timeCost } = argon2.parseOptions(hash);
  return memoryCost < PARAMETERS.memoryCost || timeCost < PARAMETERS.timeCost;
}
