import { z } from 'zod';
import type { AzureResources } from './azure-resources.ts';
import type { Deployment } from './environment.ts';

/**
 * Nothing here has public access. A deployment from outside the network lets one address in while it runs, and takes it out
 * again, also when it fails or is stopped. A deployment that was killed leaves the door open: the next one, `npm run deploy
 * close`, or the next provision closes it, because the template says so.
 */

/** The rule's name, by which it is found and removed. */
const RULE = 'deployment';
const POSTGRES = '2025-08-01';
const VAULTS = '2024-11-01';
const SITES = '2025-03-01';

/** What a deployment must reach. The app: only its deployment endpoint. */
export type DoorPart = 'databases' | 'vaults' | 'app';

function inGroup(
  { AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP }: Deployment,
  type: string,
  name: string,
): string {
  return `/subscriptions/${AZURE_SUBSCRIPTION_ID}/resourceGroups/${AZURE_RESOURCE_GROUP}/providers/${type}/${name}`;
}

const serverState = z.object({
  properties: z.object({ network: z.object({ publicNetworkAccess: z.string() }) }),
});

/** One resource that can be opened to an address, or to nobody. */
type Door = (address: string | undefined) => Promise<void>;

function databaseDoor(azure: AzureResources, deployment: Deployment, server: string): Door {
  const resource = inGroup(deployment, 'Microsoft.DBforPostgreSQL/flexibleServers', server);
  const rule = `${resource}/firewallRules/${RULE}`;
  const setAccess = (publicNetworkAccess: string): Promise<unknown> =>
    azure.send('PATCH', resource, POSTGRES, { properties: { network: { publicNetworkAccess } } });
  return async (address) => {
    if (address === undefined) {
      const { properties } = serverState.parse(await azure.send('GET', resource, POSTGRES));
      if (properties.network.publicNetworkAccess === 'Disabled') return;
      // The rule first: it can be changed only while public access is on.
      await azure.send('DELETE', rule, POSTGRES);
      await setAccess('Disabled');
    } else {
      await setAccess('Enabled');
      await azure.send('PUT', rule, POSTGRES, {
        properties: { startIpAddress: address, endIpAddress: address },
      });
    }
  };
}

function vaultDoor(azure: AzureResources, deployment: Deployment, vault: string): Door {
  return async (address) => {
    await azure.send('PATCH', inGroup(deployment, 'Microsoft.KeyVault/vaults', vault), VAULTS, {
      properties: {
        publicNetworkAccess: address === undefined ? 'Disabled' : 'Enabled',
        networkAcls: {
          defaultAction: 'Deny',
          bypass: 'AzureServices',
          ipRules: address === undefined ? [] : [{ value: `${address}/32` }],
        },
      },
    });
  };
}

/** Requests to the app itself stay denied: only the address of the deployment endpoint gets a rule. */
function appDoor(azure: AzureResources, deployment: Deployment): Door {
  const app = inGroup(deployment, 'Microsoft.Web/sites', deployment.APP_NAME);
  const setRules = (rules: readonly unknown[]): Promise<unknown> =>
    azure.send('PATCH', `${app}/config/web`, SITES, {
      properties: {
        ipSecurityRestrictionsDefaultAction: 'Deny',
        scmIpSecurityRestrictionsDefaultAction: 'Deny',
        scmIpSecurityRestrictions: rules,
      },
    });
  const setAccess = (publicNetworkAccess: string): Promise<unknown> =>
    azure.send('PATCH', app, SITES, { properties: { publicNetworkAccess } });
  return async (address) => {
    if (address === undefined) {
      await setAccess('Disabled');
      await setRules([]);
    } else {
      await setRules([{ name: RULE, action: 'Allow', priority: 100, ipAddress: `${address}/32` }]);
      await setAccess('Enabled');
    }
  };
}

function doorsOf(azure: AzureResources, deployment: Deployment, part: DoorPart): Door[] {
  switch (part) {
    case 'databases':
      return [deployment.CORE_SERVER, deployment.BILLING_SERVER, deployment.ANALYTICS_SERVER].map((server) =>
        databaseDoor(azure, deployment, server),
      );
    case 'vaults':
      return [deployment.APP_VAULT, deployment.GATEWAY_VAULT].map((vault) =>
        vaultDoor(azure, deployment, vault),
      );
    case 'app':
      return [appDoor(azure, deployment)];
  }
}

async function all(doors: readonly Door[], address: string | undefined): Promise<void> {
  const results = await Promise.allSettled(doors.map((door) => door(address)));
  const failed = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  if (failed.length > 0) throw new AggregateError(failed, failed.map(String).join('\n'));
}

/** Lets this machine's address in. Inside the network it does nothing. */
export async function openDoor(
  azure: AzureResources,
  deployment: Deployment,
  parts: readonly DoorPart[],
): Promise<void> {
  if (deployment.DEPLOY_FROM === 'inside') return;
  const doors = parts.flatMap((part) => doorsOf(azure, deployment, part));
  await all(doors, deployment.DEPLOY_FROM);
}

/**
 * Lets nobody in. Safe to repeat. All doors are tried, also when one fails.
 * @throws AggregateError when one may still be open.
 */
export async function closeDoor(
  azure: AzureResources,
  deployment: Deployment,
  parts: readonly DoorPart[] = ['databases', 'vaults', 'app'],
): Promise<void> {
  await all(
    parts.flatMap((part) => doorsOf(azure, deployment, part)),
    undefined,
  );
}

/** Runs `work` with the door open, and closes it in any case, also on Ctrl-C. */
export async function withOpenDoor(
  azure: AzureResources,
  deployment: Deployment,
  parts: readonly DoorPart[],
  work: () => Promise<void>,
): Promise<void> {
  if (deployment.DEPLOY_FROM === 'inside') return work();
  const stop = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    stop.signal.addEventListener('abort', () => reject(new Error('stopped; the door is closed again')));
  });
  const onSignal = (): void => stop.abort();
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    await openDoor(azure, deployment, parts);
    await Promise.race([work(), stopped]);
  } finally {
    await closeDoor(azure, deployment, parts);
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}
