import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { openApiClient } from '../dev/client/api-client.ts';
import { buildApp } from '../dev/stack/build-app.ts';
import { findTypeScriptNode } from '../dev/processes/node-command.ts';
import type { Bench } from './bench.ts';
import { benchFolder, builtApp, startBenchStack, type BenchStack } from './bench-stack.ts';
import { interleave, makeFigure } from './figures.ts';
import { mappingBody } from './mapping-body.ts';

/** Starts of each app in a round. A single one would tell little. */
const STARTS_A_ROUND = 5;

const startSchema = z.object({
  registeredMs: z.number(),
  answeredMs: z.number(),
  status: z.literal(200),
  functions: z.int(),
});
type Start = z.output<typeof startSchema>;

const run = promisify(execFile);

const HELLO = fileURLToPath(new URL('cold-start/hello.ts', import.meta.url));
const LOADER = fileURLToPath(new URL('cold-start/load.mjs', import.meta.url));

/** The function that the loader calls, and its request. */
interface FirstCall {
  readonly name: string;
  readonly request: object;
}

async function start(
  folder: string,
  settings: Readonly<Record<string, string>>,
  { name, request }: FirstCall,
): Promise<Start> {
  const args = [LOADER, path.join(folder, 'dist/main.js'), name, JSON.stringify(request)];
  const { stdout } = await run(findTypeScriptNode(), args, {
    env: { PATH: process.env['PATH'], ...settings },
  });
  return startSchema.parse(JSON.parse(stdout));
}

/** A read of an existing record with a tenant's reader key. */
async function prepareRead({ stack, core }: BenchStack): Promise<FirstCall> {
  const { acme } = stack.keys.tenants;
  const body: unknown = JSON.parse(mappingBody());
  const answer = await openApiClient(stack.baseUrl, acme.writer).send('POST', '/api/v1/mappings', body);
  const [row] = await core<{ id: string }[]>`select id from storage_records`;
  if (row === undefined) throw new Error(`POST /mappings returned ${answer.status} and stored no record`);
  const url = `http://127.0.0.1/api/v1/records/${row.id}`;
  const headers = { authorization: `Bearer ${acme.reader}` };
  return { name: 'records-read', request: { url, headers, params: { id: row.id } } };
}

/** How long a new instance takes before it answers its first request. */
export const coldStartBench: Bench = {
  name: 'cold-start',
  what: 'node from its start to the first authenticated read ÷ to the first answer of a one-function app',
  byDefault: true,
  async run(sizes, say) {
    const [app, hello] = await Promise.all([builtApp(), buildApp(path.join(benchFolder(), 'hello'), HELLO)]);
    const bench = await startBenchStack('http alone');
    try {
      const { settings } = bench.stack;
      const read = await prepareRead(bench);
      const sides = {
        app: () => start(app, settings, read),
        hello: () => start(hello, settings, { name: 'hello', request: {} }),
      };
      const starts = { app: [] as Start[], hello: [] as Start[] };
      const measure = async (side: keyof typeof sides): Promise<number> => {
        const one = await sides[side]();
        starts[side].push(one);
        return one.answeredMs;
      };
      await sides.app(); // loads the files into the page cache
      await sides.hello();
      const answered = await interleave(
        sizes.rounds * STARTS_A_ROUND,
        () => measure('hello'),
        () => measure('app'),
      );
      const functions = starts.app[0]?.functions ?? 0;
      say(`  ${starts.app.length} starts each`);
      const figure = (name: string, values: { baseline: number[]; candidate: number[] }) => ({
        bench: 'cold-start',
        name,
        candidate: { name: `this app, ${functions} functions`, unit: 'ms', values: values.candidate },
        baseline: { name: 'one-function app, built the same way', unit: 'ms', values: values.baseline },
      });
      return [
        makeFigure({
          ...figure('cold start until the first authenticated read ÷ hello-world’s first answer', answered),
          target: { bound: 'at most', value: 1.6 },
          notes: [
            `Node.js ${process.version}, from the process's start; GET /records/{id} with its look-ups of key and tenant`,
          ],
        }),
        makeFigure({
          ...figure('cold start until all functions are registered', {
            candidate: starts.app.map((one) => one.registeredMs),
            baseline: starts.hello.map((one) => one.registeredMs),
          }),
        }),
      ];
    } finally {
      await bench.stop();
    }
  },
};
