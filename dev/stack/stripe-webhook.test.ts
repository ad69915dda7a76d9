import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { startTestStripe } from '../stripe/test-stripe.ts';
import { openSecrets } from './secrets.ts';
import { openStripeWebhook } from './stripe-webhook.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'comply-webhook-'));
const stripe = await startTestStripe();
afterAll(async () => {
  await stripe.close();
  rmSync(folder, { recursive: true, force: true });
});
const open = () =>
  openStripeWebhook(folder, { ...openSecrets(folder), stripeSecretKey: stripe.secretKey }, stripe.server.url);
const endpoints = async () => (await stripe.stripe.webhookEndpoints.list()).data;

test('the app’s endpoint is made once, with a version of its own, and follows the app’s address', async () => {
  const first = await open();
  const second = await open();
  expect(second.webhook.secret).toBe(first.webhook.secret);
  expect(await endpoints()).toHaveLength(1);
  await second.webhook.pointTo('http://127.0.0.1:7071');
  expect(await endpoints()).toMatchObject([
    { url: 'http://127.0.0.1:7071/api/v1/webhooks/stripe', api_version: '2026-10-28.endive' },
  ]);
});

test('a stand-in that has lost its state gets a new endpoint, whose secret is kept', async () => {
  const before = await open();
  await stripe.ask('POST', '/_stand-in/reset');
  const after = await open();
  expect(after.webhook.secret).not.toBe(before.webhook.secret);
  expect(await endpoints()).toHaveLength(1);
  expect(readFileSync(path.join(folder, 'secrets.json'), 'utf8')).toContain(after.webhook.secret);
});
