import { findChromium } from '../chromium/find-chromium.ts';
import { findProgram } from '../processes/find-program.ts';
import { findRedisServer } from '../redis/find-redis.ts';

/** A program of the system that the tests need, and the package of Debian that has it. */
export interface Need {
  readonly package: string;
  readonly title: string;
  isThere(): boolean;
  /** What to do where it cannot be installed by itself. */
  readonly byHand: string;
  /** Without it, no test can run. False: only the tests that use it fail, and say so. */
  readonly isForAll: boolean;
}

export const NEEDS: readonly Need[] = [
  {
    package: 'redis-server',
    title: 'a Redis',
    isThere: () => Boolean(process.env['REDIS_URL']) || findRedisServer() !== undefined,
    byHand: 'install redis-server or valkey-server and put it on the PATH, or set REDIS_URL',
    isForAll: true,
  },
  {
    package: 'chromium',
    title: 'a Chromium',
    isThere: () => findChromium() !== undefined,
    byHand: 'install chromium and put it on the PATH, or set PUPPETEER_EXECUTABLE_PATH',
    isForAll: false,
  },
  {
    package: 'curl',
    title: 'curl, for the commands of the runbooks',
    isThere: () => findProgram(['curl']) !== undefined,
    byHand: 'install curl and put it on the PATH',
    isForAll: false,
  },
];
