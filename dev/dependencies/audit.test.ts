import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { auditDependencies, EXIT, type AuditResult } from './audit.ts';

// npm's own command line, against a stand-in for the registry.

const folder = mkdtempSync(path.join(tmpdir(), 'comply-audit-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const NOW = new Date('2026-11-26T12:00:00Z');

/** A project with two packages, `high-one` and `low-one`; the first needs the second. */
function makeProject(): string {
  const project = mkdtempSync(path.join(folder, 'project-'));
  const root = { name: 'audited', version: '1.0.0', private: true, dependencies: { 'high-one': '1.0.0' } };
  const lock = {
    ...root,
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': root,
      'node_modules/high-one': { version: '1.0.0', dependencies: { 'low-one': '1.0.0' } },
      'node_modules/low-one': { version: '1.0.0' },
    },
  };
  writeFileSync(path.join(project, 'package.json'), JSON.stringify(root));
  writeFileSync(path.join(project, 'package-lock.json'), JSON.stringify(lock));
  return project;
}

interface Bulk {
  readonly id: number;
  readonly url: string;
  readonly title: string;
  readonly severity: string;
  readonly vulnerable_versions: string;
}

const advisoryOf = (id: number, ghsa: string, severity: string): Bulk => ({
  id,
  url: `https://github.com/advisories/GHSA-${ghsa}`,
  title: `a ${severity} fault`,
  severity,
  vulnerable_versions: '<4.17.20',
});

const HIGH = 'GHSA-aaaa-bbbb-cccc';
const LODASH = { lodash: [advisoryOf(1, 'jf85-cpcp-j695', 'critical')] };
const HIGH_ONE = { 'high-one': [advisoryOf(2, HIGH.slice(5), 'high')] };
const LOW_ONE = { 'low-one': [advisoryOf(3, 'dddd-eeee-ffff', 'low')] };

type Answer = (response: ServerResponse, asked: Readonly<Record<string, readonly string[]>>) => void;

/** The registry's audit API. `answer` is called with the packages that were sent. */
async function startRegistry(answer: Answer): Promise<string> {
  const server: Server = createServer((request, response) => {
    if (request.method !== 'POST' || request.url !== '/-/npm/v1/security/advisories/bulk') {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
      answer(response, JSON.parse(text.toString()));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** A registry that has these advisories. */
const knows =
  (...known: readonly Readonly<Record<string, readonly Bulk[]>>[]): Answer =>
  (response, asked) => {
    const all: Record<string, readonly Bulk[]> = Object.assign({}, ...known);
    const found = Object.fromEntries(Object.entries(all).filter(([name]) => name in asked));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(found));
  };

const says =
  (status: number, body = '', type = 'application/json'): Answer =>
  (response) =>
    void response.writeHead(status, { 'content-type': type }).end(body);

async function audit(registry: string, allowed: unknown = [], timeoutMs = 30_000): Promise<AuditResult> {
  const project = makeProject();
  const allowedFile = path.join(project, 'allowed.json');
  writeFileSync(allowedFile, JSON.stringify(allowed));
  return auditDependencies({
    folder: project,
    allowedFile,
    timeoutMs,
    now: NOW,
    environment: {
      npm_config_registry: registry,
      npm_config_cache: path.join(project, 'cache'),
      npm_config_fetch_retries: '0',
      npm_config_audit_registry: registry,
    },
  });
}

const accepted = {
  advisory: HIGH,
  package: 'high-one',
  reason: 'the faulty function is not called by this service',
  since: '2026-11-01',
  until: '2026-12-01',
};

describe('the registry answers', () => {
  test('and knows nothing of our packages: clean', async () => {
    const { exitCode, lines } = await audit(await startRegistry(knows(LODASH)));
    expect([exitCode, lines]).toEqual([
      EXIT.clean,
      ['2 packages: 0 refused, 0 accepted, 0 below the limit.'],
    ]);
  });

  test('and one of high severity fails, with the package, the address and the place', async () => {
    const { exitCode, lines } = await audit(await startRegistry(knows(LODASH, HIGH_ONE, LOW_ONE)));
    expect(exitCode).toBe(EXIT.refused);
    const said = lines.join('\n');
    expect(said).toContain('VULNERABLE, high: high-one: a high fault');
    expect(said).toContain(`https://github.com/advisories/${HIGH}`);
    expect(said).toContain('node_modules/high-one');
    expect(said).toContain('below the limit, low: low-one');
  });

  test('a critical one fails too, also in a package that only another one needs', async () => {
    const critical = { 'low-one': [advisoryOf(4, 'gggg-hhhh-jjjj', 'critical')] };
    const { exitCode, lines } = await audit(await startRegistry(knows(LODASH, critical)));
    expect(exitCode).toBe(EXIT.refused);
    expect(lines.join('\n')).toContain('1 refused, 0 accepted, 0 below the limit');
  });

  test('only one below high: clean, and said', async () => {
    const { exitCode, lines } = await audit(await startRegistry(knows(LODASH, LOW_ONE)));
    expect(exitCode).toBe(EXIT.clean);
    expect(lines.join('\n')).toContain('below the limit, low: low-one');
  });
});

describe('an accepted advisory', () => {
  test('passes until its last day', async () => {
    const registry = await startRegistry(knows(LODASH, HIGH_ONE));
    for (const until of ['2026-11-26', '2026-12-01']) {
      const { exitCode, lines } = await audit(registry, [{ ...accepted, until }]);
      expect([exitCode, lines.at(-1)]).toEqual([
        EXIT.clean,
        '2 packages: 0 refused, 1 accepted, 0 below the limit.',
      ]);
    }
  });

  test('fails after it', async () => {
    const { exitCode, lines } = await audit(await startRegistry(knows(LODASH, HIGH_ONE)), [
      { ...accepted, until: '2026-11-25' },
    ]);
    expect(exitCode).toBe(EXIT.refused);
    expect(lines.join('\n')).toContain('VULNERABLE, high: high-one');
    expect(lines.join('\n')).toContain('was accepted until 2026-11-25: decide again');
  });

  test('fails after it even where nothing could be checked', async () => {
    const { exitCode, lines } = await audit(await startRegistry(says(405)), [
      { ...accepted, until: '2026-11-25' },
    ]);
    expect(exitCode).toBe(EXIT.refused);
    expect(lines.join('\n')).toContain('decide again');
    expect(lines.join('\n')).toContain('NOT CHECKED');
  });

  test('covers no other advisory and no other package', async () => {
    const registry = await startRegistry(knows(LODASH, HIGH_ONE));
    for (const other of [{ package: 'low-one' }, { advisory: 'GHSA-xxxx-xxxx-xxxx' }])
      expect((await audit(registry, [{ ...accepted, ...other }])).exitCode).toBe(EXIT.refused);
  });

  test('that nothing has any more fails, so that the list stays short', async () => {
    const { exitCode, lines } = await audit(await startRegistry(knows(LODASH)), [accepted]);
    expect(exitCode).toBe(EXIT.refused);
    expect(lines.join('\n')).toContain('remove the entry');
  });

  test.each([
    ['without a reason', { ...accepted, reason: 'ok' }],
    ['without an end', { ...accepted, until: undefined }],
    ['for too long', { ...accepted, until: '2027-11-01' }],
    ['that ends before it begins', { ...accepted, until: '2026-10-01' }],
    ['with a field that means nothing', { ...accepted, forever: true }],
  ])('%s is refused, before anybody is asked', async (_what, entry) => {
    const { exitCode, lines } = await audit('http://127.0.0.1:1/', [entry]);
    expect(exitCode).toBe(EXIT.refused);
    expect(lines[0]).toContain('is not valid');
  });
});

describe('nothing is known, and that is not called clean, when the registry', () => {
  test.each([
    ['takes no audits (405)', says(405)],
    ['does not know them (404)', says(404, '{}')],
    ['wants a credential (401)', says(401, '{}')],
    ['fails (500)', says(500)],
    ['answers with a page', says(200, '<html>welcome</html>', 'text/html')],
    ['answers "no advisory" to everything', says(200, '{}')],
    ['breaks the connection', (response: ServerResponse) => void response.destroy()],
  ] as const)('%s', async (_what, answer) => {
    const { exitCode, lines } = await audit(await startRegistry(answer));
    expect(exitCode).toBe(EXIT.unchecked);
    expect(lines.join('\n')).toContain('NOT CHECKED');
    expect(lines.join('\n')).not.toContain('packages:');
  });

  test('is not there', async () => {
    expect((await audit('http://127.0.0.1:1/')).exitCode).toBe(EXIT.unchecked);
  });

  test('does not answer in time', async () => {
    const { exitCode, lines } = await audit(await startRegistry(() => undefined), [], 2_000);
    expect(exitCode).toBe(EXIT.unchecked);
    expect(lines.join('\n')).toContain('no answer within 2 s');
  });

  test('answers once and then no more', async () => {
    const answers = [knows(LODASH), says(503)];
    const registry = await startRegistry((response, asked) => answers.shift()?.(response, asked));
    expect((await audit(registry)).exitCode).toBe(EXIT.unchecked);
  });
});
