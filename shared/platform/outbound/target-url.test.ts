import { describe, expect, test } from 'vitest';
import { outboundRules, targetFault, targetUrl } from './target-url.ts';

const rules = outboundRules({
  WEBHOOKS_PORTS: [443],
  WEBHOOKS_ALLOW_LOOPBACK: false,
  EXTRA_CA_CERTS: ['ca'],
});
const local = outboundRules({
  WEBHOOKS_PORTS: [8443],
  WEBHOOKS_ALLOW_LOOPBACK: true,
  EXTRA_CA_CERTS: ['ca'],
});

const faultOf = (text: string): string | undefined => {
  const parsed = targetUrl.safeParse(text);
  return parsed.success ? targetFault(rules, parsed.data) : parsed.error.issues[0]?.message;
};

test.each([
  'https://hooks.example.com/comply?x=1',
  'https://hooks.example.com:443/',
  'https://8.8.8.8/',
  'https://[2606:4700::1]/',
])('%s is a target', (url) => expect(faultOf(url)).toBeUndefined());

describe('a target is refused', () => {
  test.each([
    ['no URL', 'hooks.example.com', 'must be a URL'],
    ['plain HTTP', 'http://hooks.example.com/', 'must begin with https://'],
    ['another scheme', 'file:///etc/passwd', 'must begin with https://'],
    ['a user name', 'https://user@hooks.example.com/', 'must have no user name'],
    ['a password', 'https://:pw@hooks.example.com/', 'must have no user name'],
    ['a fragment', 'https://hooks.example.com/#a', 'must have no fragment'],
    ['another port', 'https://hooks.example.com:8443/', 'must have the port 443'],
    ['too long', `https://hooks.example.com/${'x'.repeat(2000)}`, 'expected string to have <=2000'],
    ['a name of this machine', 'https://localhost/', 'full name of a public host'],
    ['a name of this machine', 'https://a.localhost./', 'full name of a public host'],
    ['a name of this network', 'https://vault.internal/', 'full name of a public host'],
    ['a name without a domain', 'https://postgres/', 'full name of a public host'],
    ['loopback', 'https://127.0.0.1/', 'public address'],
    ['loopback in one number', 'https://2130706433/', 'public address'],
    ['loopback in hex', 'https://0x7f000001/', 'public address'],
    ['loopback in octal', 'https://0177.0.0.1/', 'public address'],
    ['loopback in short', 'https://127.1/', 'public address'],
    ['loopback in full-width digits', 'https://１２７.0.0.1/', 'public address'],
    ['loopback of IPv6', 'https://[::1]/', 'public address'],
    ['IPv4-mapped', 'https://[::ffff:10.0.0.1]/', 'public address'],
    ['NAT64', 'https://[64:ff9b::a9fe:a9fe]/', 'public address'],
    ['the cloud’s metadata', 'https://169.254.169.254/metadata/instance', 'public address'],
  ])('with %s: %s', (_what, url, fault) => expect(faultOf(url)).toContain(fault));
});

test('development may allow this machine and another port, and nothing else', () => {
  const fault = (url: string) => targetFault(local, url);
  expect(fault('https://127.0.0.1:8443/')).toBeUndefined();
  expect(fault('https://localhost:8443/')).toBeUndefined();
  expect(fault('https://localhost/')).toContain('port 8443');
  expect(fault('https://10.0.0.1:8443/')).toContain('public address');
  expect(fault('https://vault.internal:8443/')).toContain('full name');
});

test('certificates of private authorities are accepted only where this machine is', () => {
  expect([rules.extraCa, local.extraCa]).toEqual([[], ['ca']]);
});
