import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { Claims } from './cbs.ts';
import { verifySasToken } from './sas.ts';

const SAS = { keyName: 'name', key: 'key' };
const NOW = 1_700_000_000_000;
const AUDIENCE = 'sb://127.0.0.1:5672/Queue';

function token(changes: { resource?: string; expiry?: number; keyName?: string; key?: string } = {}): string {
  const { resource = AUDIENCE, expiry = NOW / 1000 + 60, keyName = SAS.keyName, key = SAS.key } = changes;
  const sr = encodeURIComponent(resource);
  const signature = createHmac('sha256', key)
    .update(`${sr}\n${String(expiry)}`)
    .digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(signature)}&se=${String(expiry)}&skn=${keyName}`;
}

test('a valid token is a claim on its audience until it expires', () => {
  expect(verifySasToken(token(), AUDIENCE, SAS, NOW)).toEqual({ path: 'queue', until: NOW + 60_000 });
});

test('a token for the whole namespace covers every entity', () => {
  expect(verifySasToken(token({ resource: 'sb://127.0.0.1:5672/' }), AUDIENCE, SAS, NOW)).toMatchObject({
    path: 'queue',
  });
});

test.each([
  ['another key', token({ key: 'other' }), 'InvalidSignature'],
  ['another key name', token({ keyName: 'other' }), 'InvalidSignature'],
  ['a stretched expiry', token().replace(/se=\d+/, 'se=1900000000'), 'InvalidSignature'],
  ['an expired one', token({ expiry: NOW / 1000 }), 'ExpiredToken'],
  ['another entity', token({ resource: `${AUDIENCE}2` }), 'InvalidAudience'],
  ['no signature', 'SharedAccessSignature sr=a&se=1&skn=name', 'InvalidSignature'],
  ['broken escapes', token().replace('sr=', 'sr=%'), 'MalformedToken'],
  ['no token at all', 'secret', 'MalformedToken'],
])('a token is refused: %s', (_, text, reason) => {
  expect(verifySasToken(text, AUDIENCE, SAS, NOW)).toMatch(reason);
});

test('a claim covers the entity and its parts until it expires, and no other entity', () => {
  let now = NOW;
  const claims = new Claims(SAS, () => now);
  const properties = { operation: 'put-token', name: AUDIENCE, type: 'servicebus.windows.net:sastoken' };
  expect(claims.answer({ properties, body: token() }).properties).toMatchObject({ 'status-code': 202 });
  expect(claims.cover('queue')).toBe(true);
  expect(claims.cover('QUEUE/$DeadLetterQueue/$management')).toBe(true);
  expect(claims.cover('queue2')).toBe(false);
  now += 60_000;
  expect(claims.cover('queue')).toBe(false);
});
