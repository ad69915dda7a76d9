import { createWriteStream, existsSync, statSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { createReadStream } from 'node:fs';
import { parseArgs } from 'node:util';
import { Presets, SingleBar } from 'cli-progress';
import { openApiClient } from '../client/api-client.ts';
import { readStackFile } from '../client/stack-file.ts';
import { sendTraffic } from './send-traffic.ts';
import { readTraffic } from './traffic.ts';

const USAGE = 'npm run replay -- FILE.jsonl [--tenant acme] [--concurrency 16]';

interface Arguments {
  readonly file: string;
  readonly tenant: string;
  readonly concurrency: number;
}

function readArguments(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { tenant: { type: 'string', default: 'acme' }, concurrency: { type: 'string', default: '16' } },
  });
  const [file, ...more] = positionals;
  const concurrency = Number(values.concurrency);
  if (file === undefined || more.length > 0) throw new Error(`Give one file. ${USAGE}`);
  if (!existsSync(file) || !statSync(file).isFile()) throw new Error(`There is no file ${file}. ${USAGE}`);
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256) {
    throw new Error(`--concurrency must be a whole number from 1 to 256. ${USAGE}`);
  }
  return { file, tenant: values.tenant, concurrency };
}

/** `FILE.jsonl` → `FILE.rejects.jsonl`, in the same folder. */
function rejectsFileOf(file: string): string {
  return `${file.replace(/\.jsonl$/, '')}.rejects.jsonl`;
}

async function countLines(file: string): Promise<number> {
  let lines = 0;
  let last = 10;
  for await (const chunk of createReadStream(file)) {
    for (const byte of chunk as Buffer) {
      if (byte === 10 && last !== 10) lines += 1;
      last = byte;
    }
  }
  return last === 10 ? lines : lines + 1;
}

async function replay({ file, tenant, concurrency }: Arguments): Promise<void> {
  const stack = readStackFile();
  const keys = stack.tenants[tenant];
  if (keys === undefined)
    throw new Error(`The stack has no tenant ${tenant}; it has ${Object.keys(stack.tenants).join(', ')}.`);
  const retries = { retries: 0 };
  const client = openApiClient(stack.base_url, keys.writer, retries);
  const rejectsFile = rejectsFileOf(file);
  const rejects = createWriteStream(rejectsFile);
  const bar = new SingleBar(
    {
      format: '{bar} {percentage}% | {value}/{total} lines | {speed} records/s',
      noTTYOutput: true,
      notTTYSchedule: 2_000,
    },
    Presets.shades_classic,
  );
  bar.start(await countLines(file), 0, { speed: '–' });
  const start = performance.now();
  const seconds = (): number => Math.max((performance.now() - start) / 1000, 0.001);
  let done = 0;
  const summary = await sendTraffic(
    client,
    readTraffic(file),
    concurrency,
    (reject) => rejects.write(`${JSON.stringify(reject)}\n`),
    (lines) => {
      done += lines;
      bar.update(done, { speed: Math.round(done / seconds()) });
    },
  );
  const took = seconds();
  bar.stop();
  rejects.end();
  await finished(rejects);
  const rows: [string, string | number][] = [
    ['created', summary.created],
    ['duplicate', summary.duplicate],
    ['invalid', summary.invalid],
    ['refused', summary.refused],
    ['retries', retries.retries],
    ['records/s', Math.round(summary.lines / took)],
  ];
  console.log(`\n${summary.lines} lines of ${file} as ${tenant} in ${took.toFixed(1)} s`);
  for (const [name, value] of rows) console.log(`  ${name.padEnd(12)}${value}`);
  if (summary.invalid + summary.refused > 0) console.log(`  lines not accepted, and why: ${rejectsFile}`);
}

try {
  await replay(readArguments());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
