import { describe, expect, it } from 'vitest';
import { at, compiled, ofType, templatesIn } from './compiled.ts';

const made = await compiled();

/** What Azure accepts as the name of a resource. */
const NAMES: Readonly<Record<string, RegExp>> = {
  'Microsoft.DBforPostgreSQL/flexibleServers': /^(?!-)[a-z0-9-]{3,63}(?<!-)$/, // Azure.PostgreSQL.ServerName
  'Microsoft.Cache/redisEnterprise': /^[A-Za-z0-9](?:-?[A-Za-z0-9]){0,59}$/,
  'Microsoft.ServiceBus/namespaces': /^[A-Za-z](?!.*(?:-sb|-mgmt|-)$)[A-Za-z0-9-]{5,49}$/,
  'Microsoft.ServiceBus/namespaces/queues': /^[A-Za-z0-9][A-Za-z0-9._/-]{0,258}[A-Za-z0-9]$/,
  'Microsoft.Storage/storageAccounts': /^[a-z0-9]{3,24}$/, // Azure.Storage.Name
  'Microsoft.Storage/storageAccounts/blobServices/containers': /^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/,
  'Microsoft.DataProtection/backupVaults': /^[A-Za-z][A-Za-z0-9-]{1,49}$/,
  'Microsoft.DataProtection/backupVaults/backupPolicies': /^[A-Za-z0-9][A-Za-z0-9-]{2,149}$/,
  'Microsoft.OperationalInsights/workspaces': /^(?!-)[A-Za-z0-9-]{4,63}(?<!-)$/,
  'Microsoft.Insights/components': /^[\w.()-]{1,255}(?<!\.)$/, // Azure.AppInsights.Name
  'Microsoft.Insights/actionGroups': /^[\w.()-]{1,260}$/,
  'Microsoft.Network/privateEndpoints': /^[A-Za-z0-9][\w.-]{0,78}\w$/, // Azure.PrivateEndpoint.Name
  'Microsoft.Consumption/budgets': /^[\w-]{1,63}$/,
};

describe.runIf(made !== undefined)('names', () => {
  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    it.each(Object.entries(NAMES))('%s', (type, allowed) => {
      for (const { name } of ofType(prediction, type)) expect(name).toMatch(allowed);
    });

    it('of one type are different', () => {
      const ids = prediction.resources.map((one) => one.id.toLowerCase());
      expect(ids.filter((id, n) => ids.indexOf(id) !== n)).toEqual([]);
    });

    it('names that are unique in the world end with the installation’s own suffix', () => {
      const suffix =
        /-([a-z0-9]{5,13})$/.exec(
          ofType(prediction, 'Microsoft.ServiceBus/namespaces')[0]?.name ?? '',
        )?.[1] ?? '';
      expect(suffix).not.toBe('');
      const types = ['Microsoft.DBforPostgreSQL/flexibleServers', 'Microsoft.Cache/redisEnterprise'];
      for (const { name } of types.flatMap((type) => ofType(prediction, type)))
        expect(name).toContain(suffix);
      // Storage accounts have 24 letters: as much of it as there is room for.
      for (const { name } of ofType(prediction, 'Microsoft.Storage/storageAccounts')) {
        expect(name).toContain(suffix.slice(0, 7));
      }
    });
  });
});

describe.runIf(made !== undefined)('outputs and parameters', () => {
  const templates = templatesIn(made?.template ?? {});

  // Azure.Deployment.OutputSecretValue
  it('no template gives a key, a password or a connection string with one to its caller', () => {
    expect(templates.length).toBeGreaterThan(10);
    for (const { name, template } of templates) {
      const outputs = JSON.stringify(template['outputs'] ?? {});
      expect(outputs, name).not.toMatch(
        /listKeys|listCredentials|listSecrets|accessKeys|primaryKey|connectionStrings/i,
      );
    }
  });

  it('every parameter that is called a secret is secure', () => {
    for (const { name, template } of templates) {
      for (const [parameter, definition] of Object.entries(template['parameters'] ?? {})) {
        if (!/password|secret(?!s?Email)|accessKey|token/i.test(parameter)) continue;
        expect(String(at(definition, 'type')), `${name}: ${parameter}`).toMatch(/^secure/i);
      }
    }
  });
});
