import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openSecrets } from './secrets.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'comply-secrets-'));
const file = path.join(folder, 'secrets.json');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a folder from before the stand-in for Stripe gets a key of it once, and keeps everything else', () => {
  const { stripeSecretKey: _new, ...old } = openSecrets(folder);
  writeFileSync(file, JSON.stringify(old), { mode: 0o600 });
  const upgraded = openSecrets(folder);
  expect(upgraded).toEqual({ ...old, stripeSecretKey: expect.stringMatching(/^sk_test_[0-9a-f]{48}$/) });
  expect(openSecrets(folder)).toEqual(upgraded);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(upgraded);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});
