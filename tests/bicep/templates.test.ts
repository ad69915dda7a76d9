import { describe, expect, it } from 'vitest';
import { isAtLeast } from '../../tools/bicep/bicep-compiler.ts';
import {
  at,
  compiled,
  ENVIRONMENTS,
  ofType,
  predictedWith,
  sourceFiles,
  sourceOf,
  type Prediction,
} from './compiled.ts';

// Names of rules are those of PSRule for Azure.

const made = await compiled();

/** The longest name of a workload that main.bicep takes. */
const LONGEST = 'twelve-chars';

const longest: Prediction[] = [];
if (made !== undefined) {
  for (const environment of ENVIRONMENTS)
    longest.push(await predictedWith(environment, { workload: `'${LONGEST}'` }));
}

/** What Azure accepts, for the types of this half. The other half: names.test.ts. */
const NAMES: Readonly<Record<string, RegExp>> = {
  'Microsoft.Resources/resourceGroups': /^[\w.()-]{1,89}[\w()-]$/, // Azure.ResourceGroup.Name
  'Microsoft.KeyVault/vaults': /^[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]$/, // Azure.KeyVault.Name
  'Microsoft.Web/sites': /^[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]$/,
  'Microsoft.Web/serverfarms': /^[\w-]{1,60}$/,
  'Microsoft.Network/applicationGateways': /^[A-Za-z0-9][\w.-]{0,78}\w$/, // Azure.AppGw.Name
  'Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies': /^[A-Za-z0-9][\w.-]{0,78}\w$/,
  'Microsoft.Network/virtualNetworks': /^[A-Za-z0-9][\w.-]{0,62}\w$/, // Azure.VNET.Name
  'Microsoft.Network/networkSecurityGroups': /^[A-Za-z0-9][\w.-]{0,78}\w$/, // Azure.NSG.Name
  'Microsoft.Network/publicIPAddresses': /^[A-Za-z0-9][\w.-]{0,78}\w$/, // Azure.PublicIP.Name
  'Microsoft.Network/natGateways': /^[A-Za-z0-9][\w.-]{0,78}\w$/,
  'Microsoft.Network/privateEndpoints': /^[A-Za-z0-9][\w.-]{0,78}\w$/, // Azure.PrivateEndpoint.Name
  'Microsoft.ManagedIdentity/userAssignedIdentities': /^[A-Za-z0-9][\w-]{2,127}$/, // Azure.Identity.UserAssignedName
  'Microsoft.Storage/storageAccounts': /^[a-z0-9]{3,24}$/, // Azure.Storage.Name
  'Microsoft.DBforPostgreSQL/flexibleServers': /^(?!-)[a-z0-9-]{3,63}(?<!-)$/, // Azure.PostgreSQL.ServerName
  'Microsoft.ServiceBus/namespaces': /^[A-Za-z](?!.*(?:-sb|-mgmt|-)$)[A-Za-z0-9-]{5,49}$/,
  'Microsoft.Cache/redisEnterprise': /^[A-Za-z0-9](?:-?[A-Za-z0-9]){0,59}$/,
};

describe.runIf(made !== undefined)('the templates', () => {
  it('compile and are linted without a warning', () => {
    expect(made?.diagnostics).toEqual([]);
  });

  it.each(ENVIRONMENTS)('predict a deployment of %s', (environment) => {
    expect(made?.of(environment).resources.length).toBeGreaterThan(100);
  });

  it.each(longest)(
    'have names within Azure’s limits with the longest workload, in $environment',
    (prediction) => {
      expect(LONGEST).toHaveLength(
        Number(/@maxLength\((\d+)\)\nparam workload /.exec(sourceOf('main.bicep'))?.[1]),
      );
      for (const [type, allowed] of Object.entries(NAMES))
        for (const resource of ofType(prediction, type)) expect(resource.name).toMatch(allowed);
      // Azure.PublicIP.DNSLabel
      const labels = ofType(prediction, 'Microsoft.Network/publicIPAddresses').flatMap(
        ({ properties }) => at(properties, 'dnsSettings.domainNameLabel') ?? [],
      );
      expect(labels).toHaveLength(1);
      expect(labels[0]).toMatch(/^[a-z][a-z0-9-]{1,61}[a-z0-9]$/);
    },
  );
});

describe('the sources', () => {
  const sources = sourceFiles().filter((file) => file !== 'main.bicepparam');

  it('have a parameter file for each environment, and say which it is', () => {
    const files = sources.filter((file) => file.endsWith('.bicepparam'));
    expect(files).toEqual(ENVIRONMENTS.map((name) => `${name}.bicepparam`).sort());
    for (const name of ENVIRONMENTS)
      expect(sourceOf(`${name}.bicepparam`)).toContain(`param environmentName = '${name}'`);
  });

  // Azure.Template.ParameterMetadata
  it.each(sources.filter((file) => file.endsWith('.bicep')))(
    '%s describes its parameters and outputs',
    (file) => {
      const lines = sourceOf(file).split('\n');
      const undescribed = lines.filter((line, n) => {
        if (!/^(param|output) /.test(line)) return false;
        let above = n - 1;
        while (/^@|^\s*[)}\]]/.test(lines[above] ?? '') && !/^@description\(/.test(lines[above] ?? ''))
          above -= 1;
        return !/^@description\(/.test(lines[above] ?? '');
      });
      expect(undescribed).toEqual([]);
    },
  );

  it.each(sources)('%s has no secret, no key and nobody’s address', (file) => {
    const source = sourceOf(file);
    expect(source).not.toMatch(/listKeys|listSecrets|AccountKey=|SharedAccessKey=|password\s*[:=]\s*'/i);
    // Azure.Deployment.SecureParameter: a parameter that holds a secret would have to be secure. There is none.
    expect(source).not.toMatch(/^param \w*(password|secretValue|apiKey)\w* /im);
    expect(source).not.toMatch(
      /[\w.]+@(?!example\.com|description|secure|allowed|min|max|metadata|export|batchSize)[\w-]+\.\w+/,
    );
  });

  it('the linter’s rules are errors', () => {
    const config = JSON.parse(sourceOf('bicepconfig.json').replaceAll(/^\s*\/\/.*$/gm, '')) as {
      analyzers: { core: { rules: Record<string, { level: string }> } };
    };
    const levels = Object.entries(config.analyzers.core.rules);
    expect(levels.length).toBeGreaterThan(30);
    expect(levels.filter(([, { level }]) => level !== 'error').map(([rule]) => rule)).toEqual([
      'use-recent-api-versions',
      'use-user-defined-types',
      'what-if-short-circuiting',
    ]);
  });
});

describe('the compiler’s version', () => {
  it.each([
    ['0.49.2', true],
    ['0.49.10', true],
    ['0.100.0', true],
    ['1.0.0', true],
    ['0.49.1', false],
    ['0.9.9', false],
  ])('%s is new enough: %s', (version, enough) => {
    expect(isAtLeast(version, '0.49.2')).toBe(enough);
  });
});
