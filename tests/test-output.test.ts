import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';

const ROOT = path.join(import.meta.dirname, '..');
const scripts = z
  .object({ scripts: z.object({ test: z.string() }) })
  .parse(JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'))).scripts;

/** The result of a command. A successful one has no code. */
const outcome = z.object({ code: z.int().default(0), stdout: z.string(), stderr: z.string() });

const FIXTURE = `
import { expect, test } from 'vitest';
test('passes', () => {
  console.log('log of the passing test');
  console.error('error of the passing test');
});
test('fails', () => {
  console.log('log of the failing test');
  expect(1).toBe(2);
});
`;

/** Makes a folder with a test for the project's configuration, without the parts of a run. */
function makeFixture(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'comply-test-output-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(path.join(folder, 'shared'));
  mkdirSync(path.join(folder, 'tests/harness'), { recursive: true });
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  writeFileSync(
    path.join(folder, 'tests/harness/global-setup.ts'),
    'export const setup = () => undefined;\n',
  );
  writeFileSync(path.join(folder, 'shared/fixture.test.ts'), FIXTURE);
  return folder;
}

test('npm test prints the logs of failing tests only, and its result last', async () => {
  const [command, ...args] = scripts.test.split(' ');
  expect(command).toBe('vitest');
  const vitest = path.join(ROOT, 'node_modules/vitest/vitest.mjs');
  const config = path.join(ROOT, 'vitest.config.ts');
  const result = await promisify(execFile)(
    process.execPath,
    [vitest, ...args, '--config', config, '--root', makeFixture()],
    { env: { PATH: process.env['PATH'], CI: process.env['CI'] } },
  ).catch((error: unknown) => error);
  const { code, stdout, stderr } = outcome.parse(result);
  expect(code).toBe(1);
  const printed = stripVTControlCharacters(`${stderr}\n${stdout}`);
  expect(printed).toContain('log of the failing test');
  expect(printed).not.toContain('of the passing test');
  const last = stripVTControlCharacters(stdout).trim().split('\n').slice(-4);
  expect(last.map((line) => line.trim().split(/\s{2,}/)[0])).toEqual([
    expect.stringMatching(/^Test Files/),
    expect.stringMatching(/^Tests/),
    expect.stringMatching(/^Start at/),
    expect.stringMatching(/^Duration/),
  ]);
  expect(last[1]).toContain('1 failed | 1 passed');
});
