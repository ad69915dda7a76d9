import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { ensureNeeds } from './ensure.ts';
import { NEEDS } from './needs.ts';

/** The needs as they are, on a machine that has only these packages. */
const onMachineWith = (there: ReadonlySet<string>): typeof NEEDS =>
  NEEDS.map((need) => ({ ...need, isThere: () => there.has(need.package) }));

test('a machine that has everything is left alone', () => {
  const install = vi.fn();
  const there = new Set(['redis-server', 'chromium', 'curl']);
  expect(ensureNeeds(onMachineWith(there), install)).toEqual({ said: [], isEnough: true });
  expect(install).not.toHaveBeenCalled();
});

test('only what is missing is installed, in one go', () => {
  const there = new Set(['redis-server']);
  const install = vi.fn((packages: readonly string[]) => {
    for (const name of packages) there.add(name);
    return undefined;
  });
  expect(ensureNeeds(onMachineWith(there), install)).toEqual({ said: [], isEnough: true });
  expect(install.mock.calls).toEqual([[['chromium', 'curl']]]);
});

test('without the rights to install, it says what to install by hand', () => {
  expect(ensureNeeds(onMachineWith(new Set()), () => undefined)).toEqual({
    said: [
      'The tests need a Redis: install redis-server or valkey-server and put it on the PATH, or set REDIS_URL',
      'Some tests will fail, because they need a Chromium: install chromium and put it on the PATH, or set PUPPETEER_EXECUTABLE_PATH',
      'Some tests will fail, because they need curl, for the commands of the runbooks: install curl and put it on the PATH',
    ],
    isEnough: false,
  });
});

test('a browser that cannot be installed stops only the tests that use it, and the reason is told', () => {
  const { said, isEnough } = ensureNeeds(
    onMachineWith(new Set(['redis-server', 'curl'])),
    () => 'E: no network',
  );
  expect([said.length, said[0], isEnough]).toEqual([1, expect.stringContaining('E: no network'), true]);
});

test('the command refuses a package that it does not know, and installs nothing', () => {
  const command = path.join(import.meta.dirname, 'install.ts');
  for (const names of [[], ['redis-server', 'emacs']]) {
    const { status, stderr } = spawnSync(process.execPath, [command, ...names], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([2, 'Say which of them: redis-server, chromium, curl\n']);
  }
});
