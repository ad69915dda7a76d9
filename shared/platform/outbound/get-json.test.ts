import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, it } from 'vitest';
import { getJson, sourceFault, sourceRules, type Reading } from './get-json.ts';

const LOCAL = { allowsLoopback: true, extraCa: [] };
const DEPLOYED = { allowsLoopback: false, extraCa: [] };

let listener: RequestListener = () => undefined;
let requests = 0;
const server = createServer((request, response) => {
  requests += 1;
  listener(request, response);
});
await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const read = (more: Partial<Reading> = {}) =>
  getJson({ url, rules: LOCAL, timeoutMs: 2_000, maxBytes: 1_000, ...more });

it('reads a document from this machine where that is allowed', async () => {
  listener = (_, response) => response.end('{"keys":[]}');
  expect(await read()).toEqual({ keys: [] });
});

it.each([
  ['a redirect', (response) => response.writeHead(302, { location: url }).end(), 'status'],
  ['an error', (response) => response.writeHead(500).end('{}'), 'status'],
  ['what is no JSON', (response) => response.end('<html>'), 'not_json'],
  ['more than is allowed', (response) => response.end(`"${'x'.repeat(1_000)}"`), 'too_large'],
  [
    'an answer that asks for another protocol',
    ({ socket }) => socket?.write('HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    'unreachable',
  ],
  ['an answer that breaks off', (response) => response.writeHead(200).destroy(), 'unreachable'],
] satisfies [string, (response: Parameters<RequestListener>[1]) => unknown, string][])(
  'takes not %s, and asks once',
  async (_, answer, failure) => {
    listener = (_request, response) => void answer(response);
    const before = requests;
    await expect(read()).rejects.toMatchObject({ failure });
    expect(requests).toBe(before + 1);
  },
);

it('waits no longer than it may', async () => {
  listener = (_, response) => response.write('{');
  await expect(read({ timeoutMs: 50 })).rejects.toMatchObject({ failure: 'timeout' });
});

it.each(['10.0.0.1', '127.0.0.1', '169.254.169.254', '::1', '::ffff:10.0.0.1', '168.63.129.16'])(
  'connects to no name that leads to %s, also besides a public address',
  async (address) => {
    const resolve = () =>
      Promise.resolve([
        { address: '93.184.216.34', family: 4 },
        { address, family: address.includes(':') ? 6 : 4 },
      ]);
    const reading = { url: 'https://login.example.com/keys', rules: DEPLOYED, resolve };
    await expect(read(reading)).rejects.toMatchObject({ failure: 'refused' });
  },
);

it.each([
  'http://login.example.com/',
  'https://user@login.example.com/',
  'https://login.example.com/#x',
  'https://10.0.0.1/',
  'https://0x7f.1/',
  'https://[::1]/',
  'https://localhost/',
  'https://vault/',
  'https://vault.internal/',
  'ftp://login.example.com/',
  'no url',
])('refuses %s before any look-up', async (refused) => {
  expect(sourceFault(DEPLOYED, refused)).toBeDefined();
  await expect(read({ url: refused, rules: DEPLOYED })).rejects.toMatchObject({ failure: 'refused' });
});

it('allows this machine only in the environment `local`, and never another private network', () => {
  const rulesOf = (environment: 'local' | 'prod') =>
    sourceRules({ DEPLOYMENT_ENVIRONMENT: environment, EXTRA_CA_CERTS: [] });
  expect(sourceFault(rulesOf('local'), 'http://127.0.0.1:80/')).toBeUndefined();
  expect(sourceFault(rulesOf('prod'), 'http://127.0.0.1:80/')).toBe('must begin with https://');
  expect(sourceFault(rulesOf('local'), 'https://192.168.1.1/')).toBe('must lead to a public address');
  expect(sourceFault(rulesOf('prod'), 'https://login.microsoftonline.com/x/v2.0')).toBeUndefined();
});
