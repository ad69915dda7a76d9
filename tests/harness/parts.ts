import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { startAzurite } from '../../dev/azurite/start-azurite.ts';
import { startRedis } from '../../dev/redis/start-redis.ts';
import type { AppFacts, AzuriteFacts, PartFacts, PostgresFacts, RedisFacts } from './part-facts.ts';
import { makeTemplates, startTestPostgres } from './template-databases.ts';
import { buildApp } from '../../dev/stack/build-app.ts';

/** More than the test files of a run. Azurite needs all its accounts at the start. */
const FILES_AT_MOST = 400;

/** Ends a part. */
export type StopPart = () => Promise<void>;

async function startPostgresPart(folder: string, stops: StopPart[]): Promise<PostgresFacts> {
  const server = await startTestPostgres(folder);
  stops.push(() => server.stop('immediate'));
  return makeTemplates(server);
}

async function startRedisPart(folder: string, stops: StopPart[]): Promise<RedisFacts> {
  const given = process.env['REDIS_URL'];
  if (given) {
    return { url: given };
  }
  const redis = await startRedis({
    logFile: path.join(folder, 'redis.log'),
    password: randomBytes(16).toString('hex'),
    databases: FILES_AT_MOST,
  });
  if (redis === null) {
    throw new Error(
      'this test needs a real Redis, and there is none: run `npx node dev/packages/install.ts redis-server`',
    );
  }
  stops.push(() => redis.stop());
  return { url: redis.url };
}

async function startAzuritePart(folder: string, stops: StopPart[]): Promise<AzuriteFacts> {
  const accounts = Array.from({ length: FILES_AT_MOST }, (_, index) => ({
    name: `test${index}`,
    key: randomBytes(32).toString('base64'),
  }));
  const logFile = path.join(folder, 'azurite.log');
  const azurite = await startAzurite({ location: path.join(folder, 'azurite'), logFile, accounts });
  stops.push(() => azurite.kill());
  return { endpoint: `http://127.0.0.1:${azurite.port}`, accounts };
}

/** A separate build for the run, so that another build of the work tree does not change it. */
async function buildAppPart(folder: string, entry?: string): Promise<AppFacts> {
  return { dir: await buildApp(folder, entry) };
}

/** The parts of one run. Each is started at the first request and shared by all test files. */
export class Parts {
  readonly #folder: string;
  readonly #stops: StopPart[] = [];
  readonly #started = new Map<keyof PartFacts, Promise<unknown>>();
  #numbers = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The answer to a test file. Rejects with the reason if the part cannot start. */
  get(name: string): Promise<PartFacts[keyof PartFacts]> {
    switch (name) {
      case 'postgres':
        return this.#once(name, () => startPostgresPart(this.#folder, this.#stops));
      case 'redis':
        return this.#once(name, () => startRedisPart(this.#folder, this.#stops));
      case 'azurite':
        return this.#once(name, () => startAzuritePart(this.#folder, this.#stops));
      case 'app':
        return this.#once(name, () => buildAppPart(path.join(this.#folder, name)));
      case 'fixture-app':
        return this.#once(name, () =>
          buildAppPart(path.join(this.#folder, name), 'tests/fixture-app/main.ts'),
        );
      case 'number':
        this.#numbers += 1;
        return Promise.resolve({ number: this.#numbers });
      default:
        return Promise.reject(new Error(`there is no part ${name}`));
    }
  }

  /** Stops every started part, also those that are still starting. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#started.values());
    await Promise.allSettled(this.#stops.map((stop) => stop()));
  }

  #once<T>(name: keyof PartFacts, start: () => Promise<T>): Promise<T> {
    const started = (this.#started.get(name) as Promise<T> | undefined) ?? start();
    this.#started.set(name, started);
    return started;
  }
}
