import { describe, expect, it } from 'vitest';
import { at, compiled, ofType, type Prediction } from './compiled.ts';

// Names of rules are those of PSRule for Azure.

const made = await compiled();

interface Rule {
  readonly name: string;
  readonly properties: {
    readonly direction: 'Inbound' | 'Outbound';
    readonly access: 'Allow' | 'Deny';
    readonly priority: number;
    readonly sourceAddressPrefix: string;
    readonly destinationPortRange?: string;
    readonly destinationPortRanges?: readonly string[];
  };
}

function rulesOf(prediction: Prediction, subnet: string): readonly Rule[] {
  const [group] = ofType(prediction, 'Microsoft.Network/networkSecurityGroups').filter((one) =>
    one.name.endsWith(`-${prediction.environment}-${subnet}`),
  );
  return (group?.properties['securityRules'] ?? []) as Rule[];
}

const SUBNETS = ['gateway', 'app', 'private-endpoints', 'operations'];
/** Every service that has a private endpoint, by its group. */
const SERVICES = [
  'blob',
  'namespace',
  'postgresqlServer',
  'queue',
  'redisEnterprise',
  'sites',
  'table',
  'vault',
];
const PUBLIC_ACCESS = /publicNetworkAccess/;

describe.runIf(made !== undefined)('the network', () => {
  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    const [vnet] = made === undefined ? [] : ofType(prediction, 'Microsoft.Network/virtualNetworks');
    const subnets = (vnet?.properties['subnets'] ?? []) as {
      name: string;
      properties: Record<string, unknown>;
    }[];

    it('Azure.VNET.UseNSGs, Azure.NSG.Associated: each subnet has its own security group', () => {
      expect(subnets.map((one) => one.name)).toEqual(SUBNETS);
      const groups = subnets.map((one) => at(one.properties, 'networkSecurityGroup.id'));
      expect(groups.sort()).toEqual(
        ofType(prediction, 'Microsoft.Network/networkSecurityGroups')
          .map((one) => one.id)
          .sort(),
      );
    });

    it('Azure.VNET.PrivateSubnet: nothing leaves by an address that Azure chooses; the app’s address is its own', () => {
      for (const { properties } of subnets) expect(properties['defaultOutboundAccess']).toBe(false);
      const withNat = subnets.filter((one) => one.properties['natGateway'] !== undefined);
      expect(withNat.map((one) => one.name)).toEqual(['app', 'operations']);
    });

    it('the app’s subnet is delegated to Flex Consumption', () => {
      const app = subnets.find((one) => one.name === 'app');
      expect(at(app?.properties, 'delegations.0.properties.serviceName')).toBe('Microsoft.App/environments');
    });

    it('Azure.NSG.AnyInboundSource: from the internet comes only 443, and only to the gateway', () => {
      const open = SUBNETS.flatMap((subnet) =>
        rulesOf(prediction, subnet)
          .filter(({ properties: { access, direction } }) => access === 'Allow' && direction === 'Inbound')
          .filter(({ properties: { sourceAddressPrefix: from } }) =>
            ['*', 'Internet', '0.0.0.0/0'].includes(from),
          )
          .map(({ properties }) => [subnet, properties.sourceAddressPrefix, properties.destinationPortRange]),
      );
      expect(open).toEqual([['gateway', 'Internet', '443']]);
    });

    it.each(SUBNETS)('%s ends with a rule that denies what no other rule allows', (subnet) => {
      const last = rulesOf(prediction, subnet)
        .filter(({ properties }) => properties.direction === 'Inbound')
        .toSorted((a, b) => b.properties.priority - a.properties.priority)[0];
      expect(last?.properties).toMatchObject({ access: 'Deny', sourceAddressPrefix: '*', priority: 4096 });
    });

    it.each(['gateway', 'app', 'private-endpoints'])(
      'Azure.NSG.LateralTraversal: %s opens no session elsewhere',
      (subnet) => {
        const denied = rulesOf(prediction, subnet).filter(
          ({ properties: { direction, access, destinationPortRange: port, destinationPortRanges: ports } }) =>
            direction === 'Outbound' && access === 'Deny' && (port === '*' || ports?.join() === '22,3389'),
        );
        expect(denied).not.toEqual([]);
      },
    );

    it('security groups apply to private endpoints too', () => {
      const subnet = subnets.find((one) => one.name === 'private-endpoints');
      expect(subnet?.properties['privateEndpointNetworkPolicies']).toBe('Enabled');
    });

    it('every service has a private endpoint with its names in a zone', () => {
      const endpoints = ofType(prediction, 'Microsoft.Network/privateEndpoints');
      const groups = endpoints.map((one) =>
        String(at(one.properties, 'privateLinkServiceConnections.0.properties.groupIds.0')),
      );
      expect([...new Set(groups)].sort()).toEqual(SERVICES);
      expect(ofType(prediction, 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups')).toHaveLength(
        endpoints.length,
      );
      const zones = ofType(prediction, 'Microsoft.Network/privateDnsZones');
      expect(ofType(prediction, 'Microsoft.Network/privateDnsZones/virtualNetworkLinks')).toHaveLength(
        zones.length,
      );
    });

    it('Azure.PublicIP.StandardSKU, Azure.PublicIP.AvailabilityZone: two addresses, in three zones in prod', () => {
      const addresses = ofType(prediction, 'Microsoft.Network/publicIPAddresses');
      expect(addresses.map((one) => one.name.split('-').at(-1))).toEqual(
        expect.arrayContaining(['outbound', 'gateway']),
      );
      expect(addresses).toHaveLength(2);
      for (const { sku, zones, properties } of addresses) {
        expect(sku).toEqual({ name: 'Standard' });
        expect(zones ?? []).toEqual(prediction.environment === 'prod' ? ['1', '2', '3'] : []);
        expect(properties['publicIPAllocationMethod']).toBe('Static');
      }
    });

    // Azure.KeyVault.Firewall, Azure.Storage.Firewall, Azure.PostgreSQL.AllowAzureAccess and their like.
    it('nothing that can be closed to the internet is open', () => {
      const open = prediction.resources
        .filter((one) => PUBLIC_ACCESS.test(JSON.stringify(one.whole)))
        .flatMap((one) =>
          [...JSON.stringify(one.whole).matchAll(/"publicNetworkAccess":"(\w+)"/g)].map((m) => [
            one.type,
            m[1],
          ]),
        );
      expect(open.length).toBeGreaterThanOrEqual(9);
      expect(open.filter(([, access]) => access !== 'Disabled')).toEqual([]);
      expect(prediction.resources.filter((one) => /firewallRules$/i.test(one.type))).toEqual([]);
    });

    it.each([
      'Microsoft.Network/virtualNetworks',
      'Microsoft.Network/networkSecurityGroups',
      'Microsoft.Network/publicIPAddresses',
      'Microsoft.Network/applicationGateways',
      'Microsoft.KeyVault/vaults',
      'Microsoft.Web/sites',
      'Microsoft.Web/serverfarms',
    ])('%s sends its logs or metrics to the workspace', (type) => {
      const settings = ofType(prediction, 'Microsoft.Insights/diagnosticSettings');
      for (const { id } of ofType(prediction, type)) {
        const own = settings.filter((one) => one.id.startsWith(`${id}/providers/Microsoft.Insights/`));
        expect(own, id).toHaveLength(1);
        expect(own[0]?.properties['workspaceId']).toContain('workspaceId');
      }
    });

    it('Azure.Resource.UseTags: everything that can have tags has them', () => {
      const without = prediction.resources.filter(
        (one) => one.location !== undefined && one.tags?.['workload'] !== 'comply-ai',
      );
      expect(without.map((one) => one.type)).toEqual([]);
    });
  });
});
