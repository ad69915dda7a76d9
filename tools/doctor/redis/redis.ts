import { ReplyError } from 'ioredis';
import { isLoopback } from '../../../shared/platform/config/connection-settings.ts';
import { notChecked, ok, problem, warning, type Check } from '../check.ts';
import { describeError } from '../describe-error.ts';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';
import { withReachableRedis, withRedis } from './open-redis.ts';

/** Without its answer in this time, the app's cache does without it (`COMMAND_TIMEOUT_MS` there). */
const TOO_SLOW_MS = 250;
const SLOW_MS = 20;

function hostOf(patient: Patient): string {
  return new URL(patient.need('REDIS_URL')).host;
}

/** Whether the app can sign in, and how fast it gets answers. */
export const redisReachable: Check = {
  name: 'redis-reachable',
  group: 'redis',
  looksAt: 'whether Redis can be reached with REDIS_URL, and how fast it answers',
  async run(patient) {
    const host = hostOf(patient);
    try {
      const best = await withRedis(patient, async (client) => {
        const times: number[] = [];
        for (let n = 0; n < 3; n += 1) {
          const start = performance.now();
          await client.ping();
          times.push(performance.now() - start);
        }
        return Math.min(...times);
      });
      const text = `${host} answers in ${best.toFixed(1)} ms`;
      if (best <= SLOW_MS || patient.isLocal) return ok(text);
      return best > TOO_SLOW_MS
        ? problem(
            `${text}: the app waits ${TOO_SLOW_MS} ms and does without it`,
            'use a Redis in the region of the app',
          )
        : warning(text, 'use a Redis in the region of the app');
    } catch (error) {
      if (/WRONGPASS|NOAUTH|invalid password|NOPERM/i.test(String(error)))
        return problem(
          `${host} refuses the password: ${describeError(error)}`,
          'correct the user and the password in REDIS_URL',
        );
      return problem(
        `${host} does not answer: ${describeError(error)}. Everything works, slower, and each instance counts its own rate limits`,
        patient.isLocal
          ? 'npm start'
          : `az redisenterprise show --resource-group ${patient.resourceGroup} --name <name> --query provisioningState; then private endpoint and DNS of ${host}`,
      );
    }
  },
};

/** The oldest version with everything that the app sends (`EXPIRE … NX`, `GETEX`). */
const MINIMUM = 6;

/** One value of `INFO`. */
function infoOf(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
}

/** Version, what is evicted when the memory is full, and whether scripts run: the rate limiter is one. */
export const redisServer: Check = {
  name: 'redis-server',
  group: 'redis',
  looksAt: 'the version of Redis, what it evicts when its memory is full, and whether scripts run',
  run: (patient) =>
    withReachableRedis(patient, async (client) => {
      const info = `${await client.info('server')}\n${await client.info('memory')}`;
      const version = infoOf(info, 'redis_version') ?? '';
      const policy = infoOf(info, 'maxmemory_policy');
      const findings = [
        Number.parseInt(version, 10) < MINIMUM
          ? problem(`Redis ${version}: ${MINIMUM} or later is needed`, 'upgrade Redis')
          : ok(`Redis ${version}`),
      ];
      if (policy === undefined) findings.push(notChecked('Redis does not say what it evicts'));
      else if (policy === 'noeviction')
        findings.push(
          warning(
            'maxmemory_policy is noeviction: when its memory is full, Redis refuses writes',
            'set it to allkeys-lru: the app keeps only a cache there (az redisenterprise database update --eviction-policy AllKeysLRU)',
          ),
        );
      else findings.push(ok(`evicts by ${policy}`));
      try {
        await client.eval('return 1', 0);
        findings.push(ok('scripts run'));
      } catch (error) {
        if (!(error instanceof ReplyError)) throw error;
        findings.push(
          problem(
            `scripts are refused (${describeError(error)}): rate limits are counted in each instance`,
            'allow EVAL and EVALSHA for the user of REDIS_URL (acl setuser <user> +@scripting)',
          ),
        );
      }
      return findings;
    }),
};

/** Whether the connection is encrypted. `rediss://` always checks the certificate. */
export const redisTls: Check = {
  name: 'redis-tls',
  group: 'redis',
  looksAt: 'whether connections to Redis are encrypted',
  run(patient) {
    const url = new URL(patient.need('REDIS_URL'));
    if (url.protocol === 'rediss:')
      return Promise.resolve(ok('rediss://: encrypted, and the certificate is checked'));
    if (isLoopback(url)) throw new NotChecked('Redis is on this machine: nothing crosses a network');
    return Promise.resolve(problem('REDIS_URL is not encrypted', 'use rediss:// in REDIS_URL'));
  },
};
