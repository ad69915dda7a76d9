/** `npm run trace -- ID`: prints a trace of a stack that ran with `npm start -- --telemetry`. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { openApiClient } from '../client/api-client.ts';
import { readStackFile } from '../client/stack-file.ts';
import { readSpans } from './span-files.ts';
import { printTrace, traceTree } from './trace-tree.ts';

const USAGE = `usage: npm run trace -- ID [--folder DIR]

ID is a trace id (x-ms-request-id of an answer) or the id of a record, a mapping, an orchestration or an analysis. For one of these, the
stack must run: its audit trail knows the traces.
`;

/** The exporter sends spans every few seconds. */
const SENT_WITHIN_MS = 12_000;
const POLL_MS = 500;

const graph = z.object({
  nodes: z.array(z.object({ kind: z.string(), created_at: z.string(), trace_id: z.string().nullish() })),
});

/** The traces of the requests about a record or its origins, the first one first. */
async function tracesOf(id: string, folder: string | undefined): Promise<string[]> {
  const stack = readStackFile(folder);
  for (const { owner } of Object.values(stack.tenants)) {
    for (const kind of ['record', 'mapping', 'orchestration', 'analysis']) {
      const answer = await openApiClient(stack.base_url, owner).send('GET', `/api/v1/lineage/${kind}/${id}`);
      if (answer.status !== 200) continue;
      const entries = graph.parse(answer.body).nodes.filter((node) => node.kind === 'audit_entry');
      entries.sort((left, right) => left.created_at.localeCompare(right.created_at));
      return [...new Set(entries.flatMap(({ trace_id: trace }) => trace ?? []))];
    }
  }
  return [];
}

/** Prints a trace. Waits for spans that are not sent yet. Returns whether there are any. */
async function show(traceId: string, folder: string): Promise<boolean> {
  const deadline = Date.now() + SENT_WITHIN_MS;
  for (;;) {
    const lines = traceTree(readSpans(folder), traceId);
    const isWhole = lines.some(({ span }) => span.name.startsWith('process '));
    if (isWhole || Date.now() > deadline) {
      if (lines.length > 0) process.stdout.write(`trace ${traceId}\n${printTrace(lines)}\n`);
      return lines.length > 0;
    }
    await delay(POLL_MS);
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { folder: { type: 'string' } },
    allowPositionals: true,
  });
  const [given, ...more] = positionals;
  if (given === undefined || more.length > 0) {
    process.stderr.write(USAGE);
    return 2;
  }
  const id = given.toLowerCase();
  const traces = /^[0-9a-f]{32}$/.test(id) ? [id] : await tracesOf(id, values.folder);
  const folder = values.folder ?? fileURLToPath(new URL('../../.local', import.meta.url));
  const [first] = traces;
  if (first !== undefined && (await show(first, folder))) {
    for (const other of traces.slice(1)) process.stdout.write(`see also ${other}\n`);
    return 0;
  }
  process.stderr.write(
    'No spans. Does the stack run with --telemetry? The first second of a stack has none, nor have the oldest spans.\n',
  );
  return 1;
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
