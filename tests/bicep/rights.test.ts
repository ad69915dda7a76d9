import { describe, expect, it } from 'vitest';
import { at, compiled, ofType, type PredictedResource } from './compiled.ts';

// Names of rules are those of PSRule for Azure.

const made = await compiled();

/** Built-in roles by id. */
const ROLES: Readonly<Record<string, string>> = {
  '4633458b-17de-408a-b874-0445c86b69e6': 'Key Vault Secrets User',
  'b86a8fe4-44ce-4948-aee5-eccb2c155cd7': 'Key Vault Secrets Officer',
  'a4417e6f-fecd-4de8-b567-7b0420556985': 'Key Vault Certificates Officer',
  '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39': 'Azure Service Bus Data Sender',
  '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0': 'Azure Service Bus Data Receiver',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe': 'Storage Blob Data Contributor',
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b': 'Storage Blob Data Owner',
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88': 'Storage Queue Data Contributor',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3': 'Storage Table Data Contributor',
  '3913510d-42f4-4e42-8a64-420c390055eb': 'Monitoring Metrics Publisher',
  'e5e2a7ff-d759-4cd2-bb51-3152d37e2eb1': 'Storage Account Backup Contributor',
};

/** Who gets which role on what. */
const GRANTS = [
  ['app', 'Azure Service Bus Data Receiver', 'Microsoft.ServiceBus/namespaces/queues'],
  ['app', 'Azure Service Bus Data Sender', 'Microsoft.ServiceBus/namespaces/queues'],
  ['app', 'Key Vault Secrets User', 'Microsoft.KeyVault/vaults: kv'],
  ['app', 'Monitoring Metrics Publisher', 'Microsoft.Insights/components'],
  ['app', 'Storage Blob Data Contributor', 'Microsoft.Storage/storageAccounts/blobServices/containers'],
  // On the account of exports, where it makes and deletes containers.
  ['app', 'Storage Blob Data Contributor', 'Microsoft.Storage/storageAccounts'],
  ['app', 'Storage Blob Data Owner', 'Microsoft.Storage/storageAccounts'],
  ['app', 'Storage Queue Data Contributor', 'Microsoft.Storage/storageAccounts'],
  ['app', 'Storage Table Data Contributor', 'Microsoft.Storage/storageAccounts'],
  ['backup', 'Storage Account Backup Contributor', 'Microsoft.Storage/storageAccounts'],
  ['deployer', 'Key Vault Certificates Officer', 'Microsoft.KeyVault/vaults: kvg'],
  ['deployer', 'Key Vault Secrets Officer', 'Microsoft.KeyVault/vaults: kv'],
  ['gateway', 'Key Vault Secrets User', 'Microsoft.KeyVault/vaults: kvg'],
];

function whoIs(principal: string): string {
  if (principal === '00000000-0000-0000-0000-00000000000a') return 'deployer';
  const identity = /outputs\.(\w+)PrincipalId/.exec(principal)?.[1];
  return identity ?? (/backupVaults/.test(principal) ? 'backup' : principal);
}

/** The scope's type; for vaults, which have one each, the start of their name. */
function scopeOf({ id }: PredictedResource): string {
  const scope =
    /extensionResourceId\('([^']+)'/.exec(id)?.[1] ??
    id.split('/providers/Microsoft.Authorization/')[0] ??
    '';
  const [namespace = '', ...parts] = (scope.split('/providers/').at(-1) ?? '').split('/');
  const type = [namespace, ...parts.filter((_, n) => n % 2 === 0)].join('/');
  const vault = /vaults\/(kvg?)-/.exec(scope)?.[1];
  if (vault !== undefined) return `${type}: ${vault}`;
  return /storageAccounts/.test(id) && !/containers/.test(id) ? 'Microsoft.Storage/storageAccounts' : type;
}

describe.runIf(made !== undefined)('rights', () => {
  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    const assignments =
      made === undefined ? [] : ofType(prediction, 'Microsoft.Authorization/roleAssignments');

    it('Azure.RBAC: each identity has these roles, on single resources, and no other', () => {
      const grants = assignments.map((one) => [
        whoIs(String(one.properties['principalId'])),
        ROLES[String(one.properties['roleDefinitionId']).split('/').at(-1)?.replace(/'.*$/, '') ?? ''] ??
          'unknown',
        scopeOf(one),
      ]);
      const distinct = [...new Set(grants.map((one) => one.join(' | ')))].sort();
      expect(distinct).toEqual(GRANTS.map((one) => one.join(' | ')).sort());
    });

    it('every assignment says what its principal is, so that a new identity is not looked up too early', () => {
      for (const { properties, name } of assignments) expect(properties['principalType'], name).toBeDefined();
    });

    it('the identity of comply_jobs has no role at all: it is only a role of PostgreSQL', () => {
      expect(assignments.filter((one) => /jobs/i.test(String(one.properties['principalId'])))).toEqual([]);
    });

    it('Redis knows the app’s identity only', () => {
      const known = ofType(prediction, 'Microsoft.Cache/redisEnterprise/databases/accessPolicyAssignments');
      expect(known.map((one) => whoIs(String(at(one.properties, 'user.objectId'))))).toEqual(['app']);
    });

    it('PostgreSQL is administered by who deploys', () => {
      const administrators = ofType(prediction, 'Microsoft.DBforPostgreSQL/flexibleServers/administrators');
      expect(administrators.map((one) => one.name)).toEqual(
        Array(3).fill('00000000-0000-0000-0000-00000000000a'),
      );
    });
  });
});

describe.runIf(made !== undefined)('vaults', () => {
  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    const vaults = made === undefined ? [] : ofType(prediction, 'Microsoft.KeyVault/vaults');

    it('Azure.KeyVault.PurgeProtect, Azure.KeyVault.SoftDelete: nobody removes a key for good within 90 days', () => {
      expect(vaults).toHaveLength(2);
      for (const { properties } of vaults)
        expect(properties).toMatchObject({
          enableSoftDelete: true,
          softDeleteRetentionInDays: 90,
          enablePurgeProtection: true,
        });
    });

    it('Azure.KeyVault.RBAC, Azure.KeyVault.AccessPolicy: rights are roles', () => {
      for (const { properties } of vaults) {
        expect(properties['enableRbacAuthorization']).toBe(true);
        expect(properties).not.toHaveProperty('accessPolicies');
      }
    });

    it('Azure.KeyVault.Firewall: closed to every network but this one', () => {
      for (const { properties } of vaults)
        expect(properties['networkAcls']).toMatchObject({
          defaultAction: 'Deny',
          ipRules: [],
          virtualNetworkRules: [],
        });
    });

    it('Azure.KeyVault.Logs: who read which secret is logged', () => {
      const logged = ofType(prediction, 'Microsoft.Insights/diagnosticSettings');
      for (const { id } of vaults) {
        const [setting] = logged.filter((one) => one.id.startsWith(`${id}/providers/`));
        expect(setting?.properties['logs']).toEqual([{ categoryGroup: 'allLogs', enabled: true }]);
      }
    });

    it('have no values from a template', () => {
      expect(
        prediction.resources.filter((one) => /vaults\/(secrets|keys|certificates)$/i.test(one.type)),
      ).toEqual([]);
    });
  });
});
