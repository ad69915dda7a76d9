import { askForFileNumber, askForPart } from './ask.ts';

/**
 * The connection string of a Redis database that no other test file of this run uses, empty. Fails, saying what to
 * do, when this machine has no Redis. With REDIS_URL set, files share that server's database: give the app a
 * `REDIS_KEY_PREFIX` from `keyPrefix` too.
 */
export async function openRedis(): Promise<{ url: string; keyPrefix: string }> {
  const [{ url }, number] = await Promise.all([askForPart('redis'), askForFileNumber()]);
  const keyPrefix = `t${process.ppid}-${number}:`;
  if (process.env['REDIS_URL']) {
    return { url, keyPrefix };
  }
  return { url: `${url}/${number}`, keyPrefix };
}
