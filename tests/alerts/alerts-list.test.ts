import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { alertRules } from '../../tools/alerts/alert-rules.ts';
import { ALERTS } from '../../tools/alerts/alerts.ts';
import { firesFor, type Measure } from '../../tools/alerts/matches.ts';
import { kqlOf } from '../../tools/alerts/kql.ts';
import type { Alert, Condition } from '../../tools/alerts/alert.ts';
import { faultsInQuery } from './kusto.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

/** Names of Azure's own alerts in bicep/modules/alerts.bicep, with their runbooks. */
const serviceAlerts = [
  ...read('bicep/modules/alerts.bicep').matchAll(/^ {4}name: '(\w+)'[\s\S]*?^ {4}runbook: '([\w-]+)'/gm),
].map(([, name = '', runbook = '']) => ({ name, runbook }));
const all = [...ALERTS, ...serviceAlerts];

describe('the list of alerts', () => {
  it('is in bicep/alerts.json with its queries (npm run alerts:write)', () => {
    expect(JSON.parse(read('bicep/alerts.json'))).toEqual(alertRules());
  });

  it('has the alerts of the services in its module', () => {
    expect(serviceAlerts.length).toBeGreaterThan(3);
  });

  it('has each name once', () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  it.each(ALERTS.map((alert) => [alert.name, alert] as const))(
    '%s has a query that KQL’s compiler accepts',
    (_, alert) => {
      expect(faultsInQuery(kqlOf(alert))).toEqual([]);
    },
  );

  it('would notice a query that KQL refuses', () => {
    expect(faultsInQuery('AppMetrics | where Nmae == "x"')).not.toEqual([]);
    expect(faultsInQuery('AppMetrics | summarise count()')).not.toEqual([]);
  });
});

describe('a runbook', () => {
  const runbooks = [...new Set(all.map(({ runbook }) => runbook))];

  it.each(runbooks)(
    '%s exists, names its alerts, and says what it means, how to look, what to do and when it is over',
    (runbook) => {
      const path = `docs/runbooks/${runbook}.md`;
      expect(existsSync(new URL(path, ROOT))).toBe(true);
      const text = read(path);
      for (const { name } of all.filter((alert) => alert.runbook === runbook))
        expect(text).toContain(`\`${name}\``);
      expect([...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title)).toEqual([
        'What it means',
        'How to look',
        'What to do',
        'When it is over',
      ]);
    },
  );
});

it('each promise of docs/reliability.md names the alert that shows when it breaks, or says that none does', () => {
  const rows = read('docs/reliability.md')
    .split('\n')
    .filter((line) => /^\| .* \|$/.test(line) && !/^\| (promise|-{3,})/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  expect(rows.length).toBeGreaterThan(15);
  const names = new Set(all.map(({ name }) => name));
  for (const [, promise, , , signal = ''] of rows) {
    const named = [...signal.matchAll(/`([A-Z]\w+)`/g)].map(([, name = '']) => name);
    expect([promise, named.length > 0 || signal.startsWith('none: ')]).toEqual([promise, true]);
    expect(named.filter((name) => !names.has(name))).toEqual([]);
  }
});

describe('the runbooks', () => {
  const texts = readdirSync(new URL('docs/runbooks/', ROOT)).map((file) => read(`docs/runbooks/${file}`));
  const code = ['shared', 'functions']
    .flatMap((folder) =>
      readdirSync(new URL(`${folder}/`, ROOT), { recursive: true, encoding: 'utf8' }).map(
        (file) => `${folder}/${file}`,
      ),
    )
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map(read)
    .join('\n');

  it('name only log events that the code writes', () => {
    const named = texts.flatMap((text) =>
      [...text.matchAll(/log events? (`[a-z-]+`(?:(?:,| and| or) `[a-z-]+`)*)/g)].flatMap(([, list = '']) =>
        [...list.matchAll(/`([a-z-]+)`/g)].map(([, event = '']) => event),
      ),
    );
    expect(named.length).toBeGreaterThan(5);
    // blobs-verify makes the names of two events from a word.
    const isWritten = (event: string) =>
      code.includes(`'${event}'`) || /^blob-(missing|changed)$/.test(event);
    expect(named.filter((event) => !isWritten(event))).toEqual([]);
  });

  it('have queries that KQL’s compiler accepts', () => {
    const queries = texts.flatMap((text) =>
      [...text.matchAll(/```kql\n([\s\S]*?)```/g)].map(([, query = '']) => query),
    );
    expect(queries.length).toBeGreaterThan(3);
    expect(queries.flatMap((query) => faultsInQuery(query))).toEqual([]);
  });

  it('list every alert with its severity', () => {
    const index = read('docs/runbooks/README.md');
    for (const { name, severity, runbook } of ALERTS)
      expect(index).toMatch(new RegExp(`\\| \`${name}\` +\\| ${severity} +\\| \\[${runbook}\\]`));
    for (const { name } of serviceAlerts) expect(index).toContain(`\`${name}\``);
  });
});

const measure = (
  name: string,
  attributes: Record<string, string>,
  value: number,
  instance = 'a',
): Measure => ({
  name,
  attributes,
  instance,
  value,
});
const alertOf = (condition: Condition): Alert => ({
  name: 'Test',
  description: '',
  severity: 3,
  windowMinutes: 5,
  runbook: '',
  condition,
});

describe('a condition', () => {
  const requests = (ok: number, failed: number) => [
    measure('http_server_requests_total', { route: 'a', status_class: '2xx', code: 'none' }, ok),
    measure(
      'http_server_requests_total',
      { route: 'a', status_class: '5xx', code: 'INTERNAL_ERROR' },
      failed,
      'b',
    ),
    measure('sign_in_failures_total', { reason: 'unknown' }, 9_999),
  ];
  const share = alertOf({
    kind: 'share',
    metric: 'http_server_requests_total',
    where: { status_class: ['5xx'] },
    above: 0.01,
    atLeast: 5,
  });

  it('on a share needs more than the share, and a least number', () => {
    expect(firesFor(share, requests(494, 6))).toBe(true);
    expect(firesFor(share, requests(495, 5))).toBe(false);
    expect(firesFor(share, requests(1, 4))).toBe(false);
    expect(firesFor(share, [])).toBe(false);
  });

  it('on an increase adds up all instances', () => {
    const alert = alertOf({
      kind: 'increase',
      metric: 'job_runs_total',
      where: { status: ['failed'] },
      above: 2,
    });
    const failed = (instance: string) =>
      measure('job_runs_total', { job: 'x', status: 'failed' }, 1, instance);
    expect(firesFor(alert, [failed('a'), failed('b'), failed('c')])).toBe(true);
    expect(firesFor(alert, [failed('a'), failed('b')])).toBe(false);
    expect(firesFor(alert, [measure('job_runs_total', { job: 'x', status: 'completed' }, 9)])).toBe(false);
  });

  it('on a level needs the whole window of one instance’s series', () => {
    const alert = alertOf({
      kind: 'level',
      metric: 'outbox_oldest_seconds',
      where: {},
      beyond: { above: 600 },
    });
    const age = (database: string, value: number) => measure('outbox_oldest_seconds', { database }, value);
    expect(firesFor(alert, [age('core', 700), age('core', 760), age('billing', 0)])).toBe(true);
    expect(firesFor(alert, [age('core', 700), age('core', 0), age('billing', 700), age('billing', 1)])).toBe(
      false,
    );
    expect(firesFor(alert, [])).toBe(false);
  });

  it('on a level below a value is hidden by no healthy instance', () => {
    const alert = alertOf({
      kind: 'level',
      metric: 'dependency_up',
      where: { dependency: ['core'] },
      beyond: { below: 1 },
    });
    const up = (dependency: string, value: number, instance: string) =>
      measure('dependency_up', { dependency }, value, instance);
    expect(firesFor(alert, [up('core', 0, 'a'), up('core', 0, 'a'), up('core', 1, 'b')])).toBe(true);
    expect(firesFor(alert, [up('core', 0, 'a'), up('core', 1, 'a')])).toBe(false);
    expect(firesFor(alert, [up('redis', 0, 'a')])).toBe(false);
  });

  it('on limits takes the limit of the value, and none for one that is not listed', () => {
    const alert = alertOf({
      kind: 'limits',
      metric: 'job_lag_seconds',
      by: 'job',
      above: { quick: 60, daily: 90_000 },
    });
    const lag = (job: string, value: number) => measure('job_lag_seconds', { job }, value);
    expect(firesFor(alert, [lag('quick', 61)])).toBe(true);
    expect(firesFor(alert, [lag('quick', 60), lag('daily', 89_000), lag('other', 1e9)])).toBe(false);
  });

  it('on a missing metric fires without a single measure', () => {
    const alert = alertOf({ kind: 'missing', metric: 'outbox_rows' });
    expect(firesFor(alert, [measure('outbox_oldest_seconds', { database: 'core' }, 1)])).toBe(true);
    expect(firesFor(alert, [measure('outbox_rows', { database: 'core' }, 0)])).toBe(false);
  });
});
