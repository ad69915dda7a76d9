import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { Parts } from './parts.ts';
import { makeRunFolder } from './run-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL at which test files ask the run's process for parts. */
    partsUrl: string;
  }
}

interface Run {
  url: string;
  stop(): Promise<void>;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Serves the parts. `GET /keep?what=…` keeps data of a failed file. */
function serveParts(parts: Parts, keep: (what: string) => void): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://parts');
    const name = url.pathname.slice(1);
    if (name === 'keep') {
      keep(url.searchParams.get('what') ?? '');
      response.end('{}');
      return;
    }
    parts.get(name).then(
      (facts) => response.end(JSON.stringify(facts)),
      (error: unknown) => response.writeHead(500).end(describe(error)),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = address !== null && typeof address === 'object' ? address.port : 0;
      resolve({ server, url: `http://127.0.0.1:${port}` });
    });
  });
}

async function startRun(): Promise<Run> {
  const folder = makeRunFolder();
  const parts = new Parts(folder);
  const kept: string[] = [];
  const isKept = process.env['CI'] === undefined;
  const { server, url } = await serveParts(parts, (what) => {
    kept.push(what);
    // Printed before the summary, so that a run's last lines are its result.
    if (isKept)
      process.stderr.write(
        `Kept until the next run: ${what}; after this one: node tests/harness/open-kept.ts ${folder}\n`,
      );
  });
  return {
    url,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await parts.stop();
      if (kept.length === 0 || !isKept) {
        rmSync(folder, { recursive: true, force: true });
        return;
      }
      writeFileSync(path.join(folder, 'kept.txt'), `${kept.join('\n')}\n`);
    },
  };
}

// All projects of vitest.config.ts run this file in one process, one after the other, and share one set of parts.
const shared = globalThis as { complyTestRun?: { users: number; run: Promise<Run> } | undefined };

/** Vitest calls this before the first test file, and the returned function after the last, also after a failure. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const use = (shared.complyTestRun ??= { users: 0, run: startRun() });
  use.users += 1;
  const run = await use.run;
  project.provide('partsUrl', run.url);
  return async () => {
    use.users -= 1;
    if (use.users === 0) {
      shared.complyTestRun = undefined;
      await run.stop();
    }
  };
}
