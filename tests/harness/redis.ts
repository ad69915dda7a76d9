import { askForFileNumber, askForPart } from './ask.ts';

/**
 * The connection string of an empty Redis database that no other test file of this run uses. Fails with instructions if
 * this machine has no Redis. If REDIS_URL is set, files share that server's database: then the app also needs `keyPrefix`
 * as its `REDIS_KEY_PREFIX`.
 */
export async function openRedis(): Promise<{ url: string; keyPrefix: string }> {
  const [{ url }, number] = await Promise.all([askForPart('redis'), askForFileNumber()]);
  const keyPrefix = `t${process.ppid}-${number}:`;
  if (process.env['REDIS_URL']) {
    return { url, keyPrefix };
  }
  return { url: `${url}/${number}`, keyPrefix };
}
