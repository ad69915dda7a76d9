import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { z } from 'zod';
import { findNextFreePort } from '../../dev/processes/free-port.ts';
import { findTypeScriptNode } from '../../dev/processes/node-command.ts';

/** After this time a start counts as hanging. */
export const START_DEADLINE_MS = 60_000;
const POLL_MS = 50;

const person = z.strictObject({ email: z.email(), password: z.string().min(12) });

const key = z.string().min(1);
const url = z.string().regex(/^postgres:\/\/postgres:/);
const appUrl = z.string().regex(/^postgres:\/\/comply_app:/);
const tenantKeys = z.strictObject({ writer: key, reader: key, owner: key });
const stackSchema = z.strictObject({
  base_url: z.string().regex(/^http:\/\/127\.0\.0\.1:\d+$/),
  tenants: z.strictObject({ acme: tenantKeys, globex: tenantKeys }),
  operator: key,
  postgres: z.strictObject({ core: url, billing: url, analytics: url }),
  postgres_app: z.strictObject({ core: appUrl, billing: appUrl, analytics: appUrl }),
  service_bus: z.string().startsWith('Endpoint=sb://'),
  blob: z.string().startsWith('DefaultEndpointsProtocol=http;'),
  redis: z.string().startsWith('redis://').nullable(),
  stripe: z.strictObject({
    url: z.string().regex(/^http:\/\/127\.0\.0\.1:\d+$/),
    secret_key: z.string().startsWith('sk_test_'),
    webhook_secret: z.string().startsWith('whsec_'),
  }),
  oidc: z.strictObject({
    issuer: z.string().regex(/^http:\/\/127\.0\.0\.1:\d+$/),
    audience: z.string(),
    tid: z.string(),
    token_url: z.url(),
    tenant_id: z.literal('acme'),
  }),
  people: z.strictObject({ acme_owner: person, globex_owner: person, both: person, operator: person }),
  settings: z.record(z.string(), z.string()),
  pid: z.int(),
});

/** Below the ephemeral ports, which any process may have. */
const PORTS_FROM = 20_000;
const PORTS = 10_000;

/** The first port for a stack to try. No other run on this machine uses it. */
export function findStartPort(): Promise<number> {
  return findNextFreePort(PORTS_FROM + Math.floor(Math.random() * PORTS));
}

/** The content of stack.json. */
export type StackFile = z.output<typeof stackSchema>;

/** An `npm start` as a process. */
export interface Started {
  readonly child: ChildProcess;
  /** Its output so far. */
  readonly output: () => string;
}

/** Starts the stack of the repository in `root`, like `npm start -- …args`. `env` is added to this process's variables, except for an account at Stripe. */
export function runStart(root: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
  const main = path.join(root, 'dev', 'start.ts');
  const child = spawn(findTypeScriptNode(), [main, ...args], {
    cwd: root,
    env: { ...process.env, STRIPE_SECRET_KEY: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return { child, output: () => output };
}

/** Resolves when `holds` is true. Rejects at the deadline with the text of `describe`. */
export async function untilHolds(
  describe: () => string,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      throw new Error(`not within ${START_DEADLINE_MS / 1000} s: ${describe()}`);
    }
    await delay(POLL_MS);
  }
}

/** Waits for this start's stack file; a killed start may have left its own. Fails with the output if the start ends. */
export async function untilReady({ child, output }: Started, folder: string): Promise<StackFile> {
  const file = path.join(folder, 'stack.json');
  let found: StackFile | undefined;
  await untilHolds(output, () => {
    found = existsSync(file) ? stackSchema.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
    return found?.pid === child.pid || child.exitCode !== null;
  });
  expect(child.exitCode, output()).toBeNull();
  return stackSchema.parse(found);
}

/** Resolves when the stack is ready: on a busy machine its first probes may time out. */
export async function untilServing(baseUrl: string): Promise<void> {
  let answer = '';
  await untilHolds(
    () => answer,
    async () => {
      const response = await fetch(`${baseUrl}/api/health/ready`);
      answer = `${response.status} ${await response.text()}`;
      return response.status === 200;
    },
  );
}
