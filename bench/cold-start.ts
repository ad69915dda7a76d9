import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { buildApp } from '../dev/stack/build-app.ts';
import { findTypeScriptNode } from '../dev/processes/node-command.ts';
import type { Bench } from './bench.ts';
import { benchFolder, builtApp } from './bench-stack.ts';
import { interleave, makeFigure } from './figures.ts';

/** Starts of each side in a round of the run: a single one tells little. */
const STARTS_A_ROUND = 5;

/** Settings that only have to be well-formed: nothing is connected to. */
const SETTINGS = {
  DEPLOYMENT_ENVIRONMENT: 'local',
  ...Object.fromEntries(
    ['CORE', 'BILLING', 'ANALYTICS'].flatMap((database) =>
      ['DATABASE_URL', 'JOBS_DATABASE_URL'].map((name) => [
        `${database}_${name}`,
        'postgres://none@127.0.0.1:1/none',
      ]),
    ),
  ),
  SERVICE_BUS_CONNECTION: 'Endpoint=sb://127.0.0.1;SharedAccessKeyName=none;SharedAccessKey=none',
  BLOB_CONNECTION: 'UseDevelopmentStorage=true',
  API_KEY_PEPPER: '0'.repeat(32),
  KEY_ENCRYPTION_KEYS: JSON.stringify({ '1': Buffer.alloc(32).toString('base64') }),
};

const startSchema = z.object({
  registeredMs: z.number(),
  answeredMs: z.number(),
  status: z.literal(200),
  functions: z.int(),
});
type Start = z.output<typeof startSchema>;

const run = promisify(execFile);

const HELLO = fileURLToPath(new URL('cold-start/hello.ts', import.meta.url));

async function start(folder: string, name: string): Promise<Start> {
  const loader = fileURLToPath(new URL('cold-start/load.mjs', import.meta.url));
  const { stdout } = await run(findTypeScriptNode(), [loader, path.join(folder, 'dist/main.js'), name], {
    env: { PATH: process.env['PATH'], ...SETTINGS },
  });
  return startSchema.parse(JSON.parse(stdout));
}

/** What an instance that has just been made costs before it can serve. */
export const coldStartBench: Bench = {
  name: 'cold-start',
  what: 'node loading the built bundle until all functions are registered ÷ the same for a one-function app',
  byDefault: true,
  async run(sizes, say) {
    const [app, hello] = await Promise.all([builtApp(), buildApp(path.join(benchFolder(), 'hello'), HELLO)]);
    const sides = { app: [] as Start[], hello: [] as Start[] };
    const measure = async (side: keyof typeof sides, folder: string, name: string): Promise<number> => {
      const one = await start(folder, name);
      sides[side].push(one);
      return one.registeredMs;
    };
    await start(app, 'health-live'); // until the files are in the page cache
    await start(hello, 'hello');
    const registered = await interleave(
      sizes.rounds * STARTS_A_ROUND,
      () => measure('hello', hello, 'hello'),
      () => measure('app', app, 'health-live'),
    );
    const functions = sides.app[0]?.functions ?? 0;
    say(`  ${sides.app.length} starts each`);
    const figure = (name: string, values: { baseline: number[]; candidate: number[] }) => ({
      bench: 'cold-start',
      name,
      candidate: { name: `this app, ${functions} functions`, unit: 'ms', values: values.candidate },
      baseline: { name: 'one-function app, built the same way', unit: 'ms', values: values.baseline },
    });
    return [
      makeFigure({
        ...figure('cold start until all functions are registered', registered),
        target: { bound: 'at most', value: 1.8 },
        notes: [
          `Node.js ${process.version}, from the process's begin; the code of the functions loads after that`,
        ],
      }),
      makeFigure({
        ...figure('cold start until the first answer', {
          candidate: sides.app.map((one) => one.answeredMs),
          baseline: sides.hello.map((one) => one.answeredMs),
        }),
        notes: ['with the load of the code, where the request comes at once: GET /health/live'],
      }),
    ];
  },
};
