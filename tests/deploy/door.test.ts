import { expect, onTestFinished, test } from 'vitest';
import { AzureResources } from '../../tools/deploy/azure-resources.ts';
import { closeDoor, openDoor, withOpenDoor } from '../../tools/deploy/door.ts';
import { readDeployment, type Deployment } from '../../tools/deploy/environment.ts';
import { startAzureStandIn, type AzureStandIn } from './azure-stand-in.ts';

const ADDRESS = '203.0.113.7';
const ENVIRONMENT = {
  DEPLOYMENT_ENVIRONMENT: 'dev',
  AZURE_SUBSCRIPTION_ID: '00000000-0000-0000-0000-000000000001',
  AZURE_RESOURCE_GROUP: 'rg',
  AZURE_PRINCIPAL_NAME: 'deployer@example.com',
  APP_NAME: 'func',
  API_URL: 'https://api.example.com',
  API_HOST: 'api.example.com',
  CORE_SERVER: 'core',
  CORE_HOST: 'core.example.com',
  BILLING_SERVER: 'billing',
  BILLING_HOST: 'billing.example.com',
  ANALYTICS_SERVER: 'analytics',
  ANALYTICS_HOST: 'analytics.example.com',
  APP_PRINCIPAL_ID: '00000000-0000-0000-0000-00000000000b',
  JOBS_PRINCIPAL_ID: '00000000-0000-0000-0000-00000000000c',
  APP_VAULT: 'kv',
  APP_VAULT_URL: 'https://kv.example.com',
  GATEWAY_VAULT: 'kvg',
  GATEWAY_VAULT_URL: 'https://kvg.example.com',
  SERVICE_BUS_NAMESPACE: 'bus.example.com',
  EVIDENCE_BLOB_URI: 'https://evidence.example.com',
  DEPLOY_FROM: ADDRESS,
};
const deployment: Deployment = readDeployment(ENVIRONMENT);
const group = '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers';
const server = (name: string): string => `${group}/Microsoft.DBforPostgreSQL/flexibleServers/${name}`;
const vault = (name: string): string => `${group}/Microsoft.KeyVault/vaults/${name}`;
const app = `${group}/Microsoft.Web/sites/func`;

async function start(): Promise<{ azure: AzureResources; standIn: AzureStandIn }> {
  const standIn = await startAzureStandIn();
  onTestFinished(() => standIn.close());
  for (const name of ['core', 'billing', 'analytics'])
    standIn.state.set(server(name), { properties: { network: { publicNetworkAccess: 'Disabled' } } });
  return {
    standIn,
    azure: new AzureResources((scope) => Promise.resolve(`token-of-${scope}`), standIn.url, 1),
  };
}

/** What is open: resources with public access, and who may come. */
function openIn({ state }: AzureStandIn): string[] {
  return [...state]
    .filter(
      ([path, one]) =>
        /"publicNetworkAccess":"Enabled"/.test(JSON.stringify(one)) || path.includes('firewallRules'),
    )
    .map(([path]) => path.replace(group, ''))
    .sort();
}

test('the door lets one address in to the databases and vaults, and closes after the work', async () => {
  const { azure, standIn } = await start();
  let during: string[] = [];
  await withOpenDoor(azure, deployment, ['databases', 'vaults'], () => {
    during = openIn(standIn);
    return Promise.resolve();
  });
  expect(during).toHaveLength(8); // three servers, their rules, two vaults
  expect(openIn(standIn)).toEqual([]);
  expect(standIn.state.get(vault('kv'))).toMatchObject({
    properties: { publicNetworkAccess: 'Disabled', networkAcls: { defaultAction: 'Deny', ipRules: [] } },
  });
});

test('only the given address is let in', async () => {
  const { azure, standIn } = await start();
  await openDoor(azure, deployment, ['databases', 'vaults', 'app']);
  expect(standIn.state.get(`${server('core')}/firewallRules/deployment`)).toEqual({
    properties: { startIpAddress: ADDRESS, endIpAddress: ADDRESS },
  });
  expect(standIn.state.get(vault('kvg'))).toMatchObject({
    properties: { networkAcls: { defaultAction: 'Deny', ipRules: [{ value: `${ADDRESS}/32` }] } },
  });
  // The app's own address stays denied, and the rule is there before the door opens.
  expect(standIn.state.get(`${app}/config/web`)).toEqual({
    properties: {
      ipSecurityRestrictionsDefaultAction: 'Deny',
      scmIpSecurityRestrictionsDefaultAction: 'Deny',
      scmIpSecurityRestrictions: [
        { name: 'deployment', action: 'Allow', priority: 100, ipAddress: `${ADDRESS}/32` },
      ],
    },
  });
  const ofApp = standIn.changes.filter((one) => one.includes('/sites/'));
  expect(ofApp).toEqual([`PATCH ${app}/config/web`, `PATCH ${app}`]);
});

test('the door closes when the work fails, and the failure is told', async () => {
  const { azure, standIn } = await start();
  const work = withOpenDoor(azure, deployment, ['databases'], () =>
    Promise.reject(new Error('no migration')),
  );
  await expect(work).rejects.toThrow('no migration');
  expect(openIn(standIn)).toEqual([]);
});

test('the door closes when it could be opened only half', async () => {
  const { azure, standIn } = await start();
  standIn.faults.set('/flexibleServers/billing', { status: 409, times: 1 });
  let worked = false;
  const work = withOpenDoor(azure, deployment, ['databases', 'vaults'], () => {
    worked = true;
    return Promise.resolve();
  });
  await expect(work).rejects.toThrow(/flexibleServers\/billing: 409 Refused/);
  expect(worked).toBe(false);
  expect(openIn(standIn)).toEqual([]);
});

test('Ctrl-C closes the door', async () => {
  const { azure, standIn } = await start();
  const work = withOpenDoor(azure, deployment, ['databases'], () => {
    process.emit('SIGINT');
    return new Promise<void>(() => undefined);
  });
  await expect(work).rejects.toThrow('the door is closed again');
  expect(openIn(standIn)).toEqual([]);
  expect(process.listenerCount('SIGINT')).toBe(0);
});

test('a door that cannot be closed is told, and the others are closed', async () => {
  const { azure, standIn } = await start();
  await openDoor(azure, deployment, ['databases', 'vaults']);
  standIn.faults.set('/vaults/kv', { status: 500, times: 1 });
  await expect(closeDoor(azure, deployment)).rejects.toThrow(/vaults\/kv: 500/);
  expect(openIn(standIn)).toEqual(['/Microsoft.KeyVault/vaults/kv']);
});

test('a deployment that was killed is closed by the next one, and closing twice changes no database', async () => {
  const { azure, standIn } = await start();
  await openDoor(azure, deployment, ['databases', 'vaults', 'app']);
  await closeDoor(azure, deployment);
  expect(openIn(standIn)).toEqual([]);
  const before = standIn.changes.length;
  await closeDoor(azure, deployment);
  expect(standIn.changes.slice(before).filter((one) => one.includes('flexibleServers'))).toEqual([]);
});

test('inside the network nothing is opened', async () => {
  const { azure, standIn } = await start();
  const inside = readDeployment({ ...ENVIRONMENT, DEPLOY_FROM: '' });
  let worked = false;
  await withOpenDoor(azure, inside, ['databases', 'vaults', 'app'], () => {
    worked = true;
    return Promise.resolve();
  });
  expect([worked, standIn.changes]).toEqual([true, []]);
});

test.each(['0.0.0.0/0', '203.0.113.0/24', 'example.com', '::/0'])('%s is no address to let in', (from) => {
  expect(() => readDeployment({ ...ENVIRONMENT, DEPLOY_FROM: from })).toThrow(/DEPLOY_FROM: must be/);
});

test('everything that is missing is told at once', () => {
  expect(() => readDeployment({})).toThrow(/DEPLOYMENT_ENVIRONMENT[^]*CORE_SERVER[^]*APP_VAULT_URL/);
});
