import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach } from 'vitest';
import { findFreePort } from '../../../dev/processes/free-port.ts';
import type { ManagedProcess } from '../../../dev/processes/managed-process.ts';
import { startHostChild, type HostReady } from '../../../dev/stack/start-host-child.ts';
import { extractRelease } from '../../../dev/upgrade/previous-release.ts';
import { DATABASES } from '../../../tools/migrate/databases.ts';
import { migrateDatabase } from '../../../tools/migrate/migrate-database.ts';
import { readOldestBuild } from '../../../tools/migrate/running-builds.ts';
import { withConnection } from '../../../tools/migrate/connect.ts';
import { until } from '../../harness/app.ts';
import { askForPart } from '../../harness/ask.ts';
import { HttpClient } from '../client.ts';
import { startFaultStack, type FaultStack } from '../fault-stack.ts';
import { Ledger } from '../ledger.ts';
import { Load } from '../load.ts';
import { Noise } from '../noise.ts';
import { openRandom, type Random } from '../random.ts';
import { ALL_SERVED } from '../scene.ts';
import { expectNoProcess } from '../verify-leftovers.ts';
import { verify } from '../verify.ts';
import { writeMigrations } from './sample-migrations.ts';

/** A running host of one of the two builds. */
export interface RunningBuild {
  readonly client: HttpClient;
  readonly host: ManagedProcess<HostReady>;
  /** What the machine adds to its answers. */
  readonly noise: Noise;
  stop(): Promise<void>;
}

/** A stack as the previous release has left it, on which both builds can run. */
export interface UpgradeScene {
  readonly faults: FaultStack;
  readonly ledger: Ledger;
  readonly random: Random;
  /** Starts a host, which is stopped after the test at the latest. Without `consumes` its queue triggers are off: what it publishes stays in the queues. */
  start(build: 'previous' | 'this', options?: { consumes: boolean }): Promise<RunningBuild>;
  /** A steady load on one host. */
  load(on: RunningBuild, perSecond: number): Load;
  write(on: RunningBuild, perSecond: number, ms: number): Promise<void>;
  /** Applies this build's migrations, and the samples, as `npm run migrate` does. Returns what it said while it waited. */
  migrate(contract: boolean): Promise<string[]>;
  /** Waits for all work, by this host's jobs, and compares everything. `besides` also runs. */
  verify(by: RunningBuild, since: number, besides?: RunningBuild): Promise<void>;
}

/** Opens the scene, with no host running. Call it at the top level of a test file. */
export async function openUpgrade(): Promise<UpgradeScene> {
  const folder = mkdtempSync(path.join(tmpdir(), 'comply-upgrade-'));
  const previous = await extractRelease(path.join(folder, 'previous'));
  const { dir: thisDir } = await askForPart('app');
  const faults = await startFaultStack({ release: previous });
  const { stack } = faults;
  const migrations = writeMigrations(path.join(folder, 'migrations'));
  const ledger = new Ledger();
  const random = openRandom();
  const running = new Set<RunningBuild>();
  const queues = stack.host.ready.functions.filter(({ type }) => type === 'serviceBusTrigger');
  await stack.host.stop();
  const stopAll = async (): Promise<void> => {
    await Promise.all([...running].map((build) => build.stop()));
  };
  afterEach(stopAll);
  afterAll(async () => {
    await stopAll();
    await faults.stop();
    rmSync(folder, { recursive: true, force: true });
    await expectNoProcess(faults);
  });

  const load = (on: RunningBuild, perSecond: number): Load =>
    new Load({ client: on.client, tenants: faults.tenants, ledger, random, perSecond });

  return {
    faults,
    ledger,
    random,
    load,
    async start(build, { consumes } = { consumes: true }) {
      const name = `${build}-${running.size}`;
      const stateDir = path.join(folder, name);
      mkdirSync(stateDir, { recursive: true });
      const off = consumes ? [] : queues.map((queue) => [`AzureWebJobs.${queue.name}.Disabled`, 'true']);
      const host = await startHostChild({
        appDir: build === 'this' ? thisDir : previous.appDir,
        port: await findFreePort(),
        stateDir,
        settings: { ...stack.settings, ...(Object.fromEntries(off) as Record<string, string>) },
        logFile: path.join(stack.folder, 'logs', `${name}.log`),
      });
      if (host.pid !== undefined) faults.pids.add(host.pid);
      const client = new HttpClient(`http://127.0.0.1:${host.ready.port}`);
      const noise = new Noise(client);
      const started = {
        client,
        host,
        noise,
        async stop() {
          running.delete(started);
          noise.stop();
          await host.stop();
          client.close();
        },
      };
      running.add(started);
      // As the gateway does before it sends requests: the first one opens the connections.
      await until(
        () => client.ask({ method: 'GET', path: '/api/health/ready' }),
        ({ status }) => status === 200,
      );
      return started;
    },
    async write(on, perSecond, ms) {
      const writing = load(on, perSecond);
      await delay(ms);
      await writing.stop();
    },
    async migrate(contract) {
      const said: string[] = [];
      const oldestBuild = await withConnection(stack.adminUrls.core, readOldestBuild);
      for (const database of DATABASES)
        await migrateDatabase(stack.adminUrls[database], migrations[database], database, {
          contract,
          oldestBuild,
          onEvent: (text) => said.push(text),
        });
      return said;
    },
    verify: (by, since, besides) =>
      verify({
        faults: {
          ...faults,
          client: by.client,
          stack: { ...stack, host: by.host },
          besides: besides?.host.pid === undefined ? [] : [besides.host.pid],
        },
        ledger,
        noise: by.noise,
        random,
        since,
        tolerated: { ...ALL_SERVED, starting: true },
      }),
  };
}
