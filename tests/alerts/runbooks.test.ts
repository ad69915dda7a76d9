import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { USAGE_RECORDED } from '../../shared/platform/bus/events.ts';
import { startBillingApp } from '../harness/billing-app.ts';
import { until } from '../harness/app.ts';

const { app } = await startBillingApp({ webhooks: false });
const FOLDER = new URL('../../docs/runbooks/', import.meta.url);

/** The commands of a runbook that run as they stand. Azure's need a subscription, and those that export are the reader's own. */
function commandsOf(file: string): string[] {
  const text = readFileSync(new URL(file, FOLDER), 'utf8');
  return [...text.matchAll(/^( *)```sh\n([\s\S]*?)^\1```$/gm)]
    .map(([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
    .filter((block) => block.includes('$API'));
}

const runbooks = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.md'))
  .map((file) => ({ file, commands: commandsOf(file) }))
  .filter(({ commands }) => commands.length > 0);

const usage = {
  specversion: '1.0',
  id: randomUUID(),
  source: '/late',
  type: USAGE_RECORDED,
  time: new Date().toISOString(),
  data: { tenant_id: 'acme', usage_type: 'mended_calls', usage_amount: 1 },
};

/** The ids that the runbook of the quarantine speaks of. */
const environment: Record<string, string> = {
  PATH: process.env['PATH'] ?? '',
  API: app.baseUrl,
  OPERATOR_KEY: app.keys.operator,
  MENDED: JSON.stringify(usage),
};

beforeAll(async () => {
  for (const body of [{ ...usage, data: { ...usage.data, usage_amount: -1 } }, { nothing: true }])
    await app.services.bus.send('usage-events', [{ body, messageId: randomUUID() }]);
  const open = await until(
    async () =>
      (await app.request('GET', '/api/v1/platform/quarantine?status=open', { key: app.keys.operator })).body
        .items as { id: string; reason: string }[],
    (items) => items.length === 2,
  );
  environment['ID'] = open.find(({ reason }) => reason === 'INVALID_DATA')?.id ?? '';
  environment['OTHER_ID'] = open.find(({ reason }) => reason !== 'INVALID_DATA')?.id ?? '';
});

describe('the commands of the runbooks', () => {
  it('are in most of them', () => {
    expect(runbooks.length).toBeGreaterThan(10);
  });

  it.each(runbooks)('$file run as they stand against the local stack', async ({ commands }) => {
    for (const command of commands) {
      const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', command], {
        env: environment,
      });
      // A command that shows nothing would tell the one who was woken nothing; only a search may find nothing.
      if (!command.includes('awk')) expect([command, stdout.trim()]).not.toEqual([command, '']);
    }
  });

  it('mended the message and discarded the other one', async () => {
    const left = await app.request('GET', '/api/v1/platform/quarantine?status=open', {
      key: app.keys.operator,
    });
    expect(left.body.items).toEqual([]);
    await until(
      () => app.admin.billing`select from usage_records where usage_type = 'mended_calls'`,
      (rows) => rows.length === 1,
    );
  });
});
