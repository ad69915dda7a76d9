import type { Redis } from 'ioredis';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';

const CONNECT_MS = 3_000;
const COMMAND_MS = 2_000;

/**
 * Runs `work` on a connection of its own, which is made like the app's and shows why it fails; the app's only shows that. It waits
 * longer too.
 */
export async function withRedis<T>(patient: Patient, work: (client: Redis) => Promise<T>): Promise<T> {
  patient.need('REDIS_URL');
  const own = await patient.services.cache.client();
  if (own === undefined) throw new NotChecked('the client of Redis cannot be opened, see the log above');
  const client = own.duplicate({
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_MS,
    enableOfflineQueue: false,
    retryStrategy: () => null,
  });
  // The error that connect() rejects with is only "Connection is closed."; this one says why.
  let cause: unknown;
  client.on('error', (error) => (cause ??= error));
  try {
    await client.connect();
    return await work(client);
  } catch (error) {
    throw cause ?? error;
  } finally {
    client.disconnect();
  }
}

/** Like {@link withRedis}, for a check that has nothing to say of a Redis that does not answer. @throws NotChecked for that. */
export async function withReachableRedis<T>(
  patient: Patient,
  work: (client: Redis) => Promise<T>,
): Promise<T> {
  try {
    await withRedis(patient, async (client) => client.ping());
  } catch (error) {
    if (error instanceof NotChecked) throw error;
    throw new NotChecked('Redis does not answer, see redis-reachable');
  }
  return withRedis(patient, work);
}
