import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildFixtureApp, type FixtureApp } from './fixture-app.ts';

const MAIN = join(dirname(fileURLToPath(import.meta.url)), 'main.ts');

const SOURCE = `
app.http('hello', { methods: ['GET'], route: 'v1/hello', handler: () => ({ body: process.env.GREETING + process.env.OTHER }) });
app.timer('nightly', { schedule: '0 0 0 1 1 *', handler: () => {} });
app.hook.appTerminate(() => { console.log('app ended'); });
setInterval(() => {}, 1000); // an open handle, like a pool of connections
`;

interface Ready {
  type: 'ready';
  port: number;
  functions: { name: string; type: string; disabled: boolean; route?: string; methods?: string[] }[];
}

describe('the functions host as a process', () => {
  let app: FixtureApp;
  let children: ChildProcess[] = [];

  function launch(
    dir: string,
    args: string[] = [],
    env: NodeJS.ProcessEnv = {},
  ): { child: ChildProcess; output: () => string } {
    const child = fork(MAIN, ['--app', dir, ...args], { silent: true, env: { ...process.env, ...env } });
    children.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    return { child, output: () => text };
  }
  async function ready(child: ChildProcess): Promise<Ready> {
    const [message] = (await once(child, 'message')) as [Ready];
    return message;
  }
  const exitCode = async (child: ChildProcess): Promise<unknown> =>
    ((await once(child, 'close')) as unknown[])[0];

  beforeAll(async () => {
    app = await buildFixtureApp(SOURCE);
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    children = [];
  });
  afterAll(() => app.remove());

  it('says when it is ready, takes settings from its file and then the environment, and ends on SIGTERM', async () => {
    const file = join(app.dir, 'local.settings.json');
    writeFileSync(
      file,
      JSON.stringify({ IsEncrypted: false, Values: { GREETING: 'file', OTHER: 'also file' } }),
    );
    const { child, output } = launch(app.dir, ['--port', '0', '--settings', file], { GREETING: 'env, ' });
    const { port, functions } = await ready(child);
    expect(functions).toMatchObject([
      { name: 'hello', type: 'httpTrigger', route: 'api/v1/hello', methods: ['GET'] },
      { name: 'nightly', type: 'timerTrigger' },
    ]);
    expect(await (await fetch(`http://127.0.0.1:${port}/api/v1/hello`)).text()).toBe('env, also file');
    child.kill('SIGTERM');
    expect(await exitCode(child)).toBe(0);
    expect(output()).toBe(
      `HTTP:\n  hello: [GET] http://127.0.0.1:${port}/api/v1/hello\nTimers:\n  nightly\napp ended\n`,
    );
  });

  it('lists no functions with --brief', async () => {
    const { child, output } = launch(app.dir, ['--port', '0', '--brief']);
    await ready(child);
    child.kill('SIGTERM');
    await exitCode(child);
    expect(output()).toBe('app ended\n');
  });

  it('sees a setting that disables a function through a shell, as npm runs scripts', async () => {
    const child = spawn(
      'sh',
      ['-c', '"$0" "$@"; exit', process.execPath, MAIN, '--app', app.dir, '--port', '0'],
      {
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        env: { ...process.env, AzureWebJobs_hello_Disabled: 'true' },
      },
    );
    children.push(child);
    const { port, functions } = await ready(child);
    expect(functions.map((fn) => [fn.name, fn.disabled])).toEqual([
      ['hello', true],
      ['nightly', false],
    ]);
    expect((await fetch(`http://127.0.0.1:${port}/api/v1/hello`)).status).toBe(404);
    child.disconnect();
    await once(child, 'exit');
  });

  it('ends when its parent disconnects', async () => {
    const { child } = launch(app.dir, ['--port', '0']);
    await ready(child);
    child.disconnect();
    expect((await once(child, 'exit'))[0]).toBe(0); // Node emits no 'close' after a disconnect
  });

  it('takes the port of its settings, or the next free one', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port: wanted } = taken.address() as { port: number };
    const file = join(app.dir, 'port.settings.json');
    writeFileSync(file, JSON.stringify({ Host: { LocalHttpPort: wanted } }));
    const { child } = launch(app.dir, ['--settings', file]);
    const { port } = await ready(child);
    taken.close();
    expect(port).toBeGreaterThan(wanted);
    expect(port).toBeLessThan(wanted + 100);
  });

  it('ends with 1 and the real error when the app throws while it loads', async () => {
    const broken = await buildFixtureApp(
      `function readEnvironment() { throw new Error('DATABASE_URL is missing'); } readEnvironment();`,
    );
    try {
      const { child, output } = launch(broken.dir);
      expect(await exitCode(child)).toBe(1);
      expect(output()).toMatch(/DATABASE_URL is missing\n +at readEnvironment/);
    } finally {
      broken.remove();
    }
  });
});
