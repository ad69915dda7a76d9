import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { at, compiled, ofType, sourceOf, type Prediction } from './compiled.ts';

const made = await compiled();

/** The types of data and monitoring that have logs or metrics, and which of the two. */
const WATCHED: Readonly<Record<string, { logs: boolean; metrics: boolean }>> = {
  'Microsoft.DBforPostgreSQL/flexibleServers': { logs: true, metrics: true },
  'Microsoft.Cache/redisEnterprise': { logs: false, metrics: true },
  'Microsoft.Cache/redisEnterprise/databases': { logs: true, metrics: false },
  'Microsoft.ServiceBus/namespaces': { logs: true, metrics: true },
  'Microsoft.Storage/storageAccounts': { logs: false, metrics: true },
  'Microsoft.Storage/storageAccounts/blobServices': { logs: true, metrics: true },
  'Microsoft.Storage/storageAccounts/queueServices': { logs: true, metrics: true },
  'Microsoft.Storage/storageAccounts/tableServices': { logs: true, metrics: true },
  'Microsoft.DataProtection/backupVaults': { logs: true, metrics: true },
  'Microsoft.OperationalInsights/workspaces': { logs: true, metrics: true },
};

/** The list of the app's metrics. */
const METRICS = path.join(import.meta.dirname, '../../shared/platform/telemetry/instruments.ts');

const DIAGNOSTICS = 'Microsoft.Insights/diagnosticSettings';

function settingsOf(prediction: Prediction, id: string) {
  return ofType(prediction, DIAGNOSTICS).filter((one) =>
    one.id.startsWith(`${id}/providers/Microsoft.Insights/`),
  );
}

describe.runIf(made !== undefined)('what runs is watched', () => {
  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    // Azure.ServiceBus.AuditLogs is one of them.
    it.each(Object.entries(WATCHED))('%s sends all its logs and metrics to the workspace', (type, wanted) => {
      const [workspace] = ofType(prediction, 'Microsoft.OperationalInsights/workspaces');
      for (const { id } of ofType(prediction, type)) {
        const settings = settingsOf(prediction, id);
        expect(settings, id).toHaveLength(1);
        const { properties } = settings[0] as (typeof settings)[number];
        // In the workspace's own module the id is known, elsewhere it is the module's output.
        expect([workspace?.id, expect.stringContaining('outputs.workspaceId')]).toContainEqual(
          properties['workspaceId'],
        );
        const logs = (properties['logs'] ?? []) as unknown[];
        const metrics = (properties['metrics'] ?? []) as unknown[];
        expect(logs.length > 0, `logs of ${type}`).toBe(wanted.logs);
        expect(metrics.length > 0, `metrics of ${type}`).toBe(wanted.metrics);
        for (const log of logs) expect(log).toEqual({ categoryGroup: 'allLogs', enabled: true });
        for (const metric of metrics) expect(metric).toMatchObject({ enabled: true });
      }
    });

    it('the subscription sends its activity log there too', () => {
      const activity = ofType(prediction, DIAGNOSTICS).filter((one) => !one.id.includes('/resourceGroups/'));
      expect(activity).toHaveLength(1);
      const logs = activity[0]?.properties['logs'] as { category: string; enabled: boolean }[];
      expect(logs.filter((one) => one.enabled).map((one) => one.category)).toContain('Administrative');
    });

    it('telemetry is only taken from identities, and somebody is told', () => {
      const [insights] = ofType(prediction, 'Microsoft.Insights/components');
      // Azure.AppInsights.LocalAuth, Azure.AppInsights.Workspace
      expect(insights?.properties).toMatchObject({ DisableLocalAuth: true });
      expect(insights?.properties['WorkspaceResourceId']).toMatch(/workspaces/i);
      const [workspace] = ofType(prediction, 'Microsoft.OperationalInsights/workspaces');
      expect(at(workspace?.properties, 'features.disableLocalAuth')).toBe(true);
      const [group] = ofType(prediction, 'Microsoft.Insights/actionGroups');
      expect(at(group?.properties, 'emailReceivers')).not.toEqual([]);
      expect(String(group?.properties['groupShortName']).length).toBeLessThanOrEqual(12);
    });

    it('a budget tells at 50, 80 and 100 % of what is spent, and ahead', () => {
      const [budget] = ofType(prediction, 'Microsoft.Consumption/budgets');
      const told = Object.values(budget?.properties['notifications'] ?? {}) as {
        thresholdType: string;
        threshold: number;
        enabled: boolean;
      }[];
      // Azure takes five.
      expect(told.length).toBeLessThanOrEqual(5);
      expect(told.every((one) => one.enabled)).toBe(true);
      const at100 = (type: string) =>
        told.filter((one) => one.thresholdType === type).map((one) => one.threshold);
      expect(at100('Actual')).toEqual([50, 80, 100]);
      expect(at100('Forecasted')).toEqual([80, 100]);
      expect(at(budget?.properties, 'filter.dimensions.name')).toBe('ResourceGroupName');
    });
  });

  it('Defender watches storage, databases, vaults and the management of resources in prod', () => {
    const plans = ofType((made as NonNullable<typeof made>).of('prod'), 'Microsoft.Security/pricings');
    // Azure.Defender.Storage, Azure.Defender.OssRdb, Azure.Defender.KeyVault, Azure.Defender.Arm
    expect(plans.map((one) => one.name).sort()).toEqual([
      'Arm',
      'KeyVaults',
      'OpenSourceRelationalDatabases',
      'StorageAccounts',
    ]);
    expect(plans.every((one) => one.properties['pricingTier'] === 'Standard')).toBe(true);
    // Azure.DefenderCloud.Contact
    const [contact] = ofType(
      (made as NonNullable<typeof made>).of('prod'),
      'Microsoft.Security/securityContacts',
    );
    expect(contact?.properties['emails']).not.toBe('');
  });
});

describe('the workbook', () => {
  interface Item {
    readonly type: number;
    readonly name: string;
    readonly content: { readonly query?: string; readonly title?: string };
  }
  const { items } = JSON.parse(sourceOf('workbook.json')) as { items: readonly Item[] };
  const queries = items.flatMap(({ content }) => (content.query === undefined ? [] : [content.query]));
  const shown = new Set(
    queries.flatMap((query) => [...query.matchAll(/where Name == "(\w+)"/g)].map(([, name]) => name)),
  );

  it('has unique parts, and a title for each chart', () => {
    expect(new Set(items.map((one) => one.name)).size).toBe(items.length);
    for (const { type, content } of items) if (type === 3) expect(content.title).toMatch(/\S/);
  });

  it('shows the reference’s five metrics', () => {
    expect([...shown]).toEqual(
      expect.arrayContaining([
        'mapper_requests_total',
        'mapper_request_duration_ms',
        'database_connection_pool_size',
        'cache_hit_rate',
        'blob_storage_operations_total',
      ]),
    );
  });

  it.runIf(existsSync(METRICS))('shows no metric that the app does not have', async () => {
    const { INSTRUMENTS } = (await import(METRICS)) as { INSTRUMENTS: Readonly<Record<string, unknown>> };
    expect(Object.keys(INSTRUMENTS)).toEqual(expect.arrayContaining([...shown]));
  });
});
