import { globSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { QUEUES } from '../../shared/platform/bus/queues.ts';
import { readSettings, settingsSchema } from '../../shared/platform/config/settings.ts';
import {
  at,
  compiled,
  ofType,
  predictedWith,
  sourceOf,
  type PredictedResource,
  type Prediction,
} from './compiled.ts';

// Names of rules are those of PSRule for Azure.

const made = await compiled();
const withStripe = made && (await predictedWith('dev', { stripeConfigured: 'true', previousPepper: 'true' }));
const ROOT = path.join(import.meta.dirname, '../..');

/** Settings that a deployment does not give, and why. */
const NOT_GIVEN: Readonly<Record<string, string>> = {
  SERVICE_BUS_CONNECTION: 'has a key; the namespace is given, and the app signs in',
  BLOB_CONNECTION: 'has a key; the address is given, and the app signs in',
  KEY_ENCRYPTION_KEYS: 'has the keys themselves; they are in the vault',
  STRIPE_API_URL: 'is for a stand-in',
  EXTRA_CA_CERTS: 'is for a private authority; Azure’s servers have certificates of public ones',
  WEBHOOKS_ALLOW_LOOPBACK: 'is for a receiver on the same machine; only the local environment may have it',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'is for another collector; telemetry goes to Application Insights',
  OTEL_EXPORTER_OTLP_HEADERS: 'is for another collector',
  OTEL_TRACES_SAMPLER_ARG: 'has a default, which docs/telemetry.md explains',
  OTEL_METRIC_EXPORT_INTERVAL: 'has a default',
};
/** Settings that are given when Stripe's secrets are in the vault. */
const STRIPE = ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRETS'];
/** Settings that are given while one pepper of API keys replaces another. */
const OVERLAP = ['API_KEY_PEPPER_PREVIOUS'];
/** Settings of the Functions host and of libraries. */
const NOT_OURS = [
  'AZURE_CLIENT_ID',
  'AzureWebJobsStorage__accountName',
  'AzureWebJobsStorage__clientId',
  'AzureWebJobsStorage__credential',
  'SERVICE_BUS_CONNECTION__clientId',
  'SERVICE_BUS_CONNECTION__credential',
];
/** Settings that Flex Consumption refuses: they are in functionAppConfig, or gone. */
const REFUSED = /^(FUNCTIONS_(WORKER_|EXTENSION_)|WEBSITE_)/;

const only = (prediction: Prediction, type: string): PredictedResource => {
  const found = ofType(prediction, type);
  expect(found, type).toHaveLength(1);
  return found[0] as PredictedResource;
};
const appOf = (prediction: Prediction) => only(prediction, 'Microsoft.Web/sites');
const settingsOf = (prediction: Prediction) =>
  only(prediction, 'Microsoft.Web/sites/config').properties as Record<string, string>;

const ours = Object.keys(settingsSchema.shape).filter((name) => !(name in NOT_GIVEN));

describe('the settings in the source', () => {
  // Where no compiler can be had, too.
  it.each(ours)('%s is given', (name) => {
    const text = sourceOf('main.bicep') + sourceOf('modules/app.bicep');
    expect(text).toMatch(new RegExp(`^\\s+${name}: `, 'm'));
  });

  it.each(Object.entries(NOT_GIVEN))('%s is not: it %s', (name) => {
    expect(Object.keys(settingsSchema.shape)).toContain(name);
    expect(sourceOf('main.bicep') + sourceOf('modules/app.bicep')).not.toMatch(new RegExp(`\\b${name}: `));
  });
});

describe.runIf(made !== undefined)('the settings', () => {
  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    it('are all that the app has, and no other', () => {
      const given = Object.keys(settingsOf(prediction)).filter((name) => !/^languageWorkers__/.test(name));
      expect(given.sort()).toEqual(
        [...ours.filter((name) => ![...STRIPE, ...OVERLAP].includes(name)), ...NOT_OURS].sort(),
      );
      expect(given.filter((name) => REFUSED.test(name))).toEqual([]);
    });

    it('have values that the app accepts', () => {
      const values = Object.entries(settingsOf(prediction)).map(([name, value]) => [name, known(value)]);
      expect(readSettings(Object.fromEntries(values))).toMatchObject({
        DEPLOYMENT_ENVIRONMENT: prediction.environment,
        DATABASE_AUTH: 'entra',
        REDIS_AUTH: 'entra',
        API_PUBLIC_URL: 'https://api.example.com',
      });
    });

    it('check the database server’s certificate, and sign in to each database with the role’s own identity', () => {
      const urls = Object.entries(settingsOf(prediction)).filter(([name]) => name.endsWith('_DATABASE_URL'));
      expect(urls).toHaveLength(6);
      for (const [name, value] of urls) {
        const url = new URL(known(value));
        expect(url.searchParams.get('sslmode'), name).toBe('verify-full');
        expect(url.username, name).toBe(name.includes('CROSS_TENANT') ? 'comply_jobs' : 'comply_app');
        expect(url.password, name).toBe('');
      }
      expect(settingsOf(prediction)['DATABASE_CROSS_TENANT_CLIENT_ID']).toContain('jobsClientId');
      expect(settingsOf(prediction)['AZURE_CLIENT_ID']).toContain('appClientId');
    });

    it('contain no key and no password: secrets are references to the vault', () => {
      const secret = /PEPPER|SECRET_KEY|WEBHOOK_SECRETS/;
      for (const [name, value] of Object.entries(settingsOf(prediction))) {
        expect(value, name).not.toMatch(/AccountKey|SharedAccessKey|Password=|listKeys/i);
        if (secret.test(name)) expect(value, name).toContain('@Microsoft.KeyVault(SecretUri=');
      }
    });
  });

  it('have Stripe’s secrets once they are in the vault', () => {
    for (const name of STRIPE)
      expect(settingsOf(withStripe as Prediction)[name], name).toContain('@Microsoft.KeyVault(SecretUri=');
  });

  it('have a second pepper while one replaces the other', () => {
    for (const name of OVERLAP)
      expect(settingsOf(withStripe as Prediction)[name], name).toContain('@Microsoft.KeyVault(SecretUri=');
  });
});

/** A value with what only Azure knows filled in. */
function known(value: string): string {
  if (!value.startsWith('[')) return value;
  if (value.includes("'@Microsoft.KeyVault(SecretUri="))
    return '@Microsoft.KeyVault(SecretUri=https://kv.example.com)';
  const format = /^\[format\('([^']*)', (.*)\)\]$/.exec(value);
  const guess = (expression: string): string =>
    expression.startsWith("'")
      ? expression.slice(1, -1)
      : /(ClientId|PrincipalId)\.value/.test(expression)
        ? '00000000-0000-0000-0000-00000000000b'
        : /port\.value/.test(expression)
          ? '10000'
          : /(vaultUri|evidenceBlobUri|exportBlobUri)/.test(expression)
            ? 'https://known.example.com/'
            : /ConnectionString/.test(expression)
              ? 'InstrumentationKey=00000000-0000-0000-0000-00000000000c'
              : 'known.example.com';
  if (format === null) return guess(value.slice(1));
  // Arguments are texts, or expressions with brackets.
  const args: string[] = [];
  let depth = 0;
  let start = 0;
  const list = format[2] ?? '';
  for (let n = 0; n <= list.length; n += 1) {
    if (list[n] === '(') depth += 1;
    if (list[n] === ')') depth -= 1;
    if (n === list.length || (list[n] === ',' && depth === 0)) {
      args.push(list.slice(start, n).trim());
      start = n + 1;
    }
  }
  return (format[1] ?? '').replaceAll(/\{(\d)\}/g, (_, n) => guess(args[Number(n)] ?? ''));
}

describe.runIf(made !== undefined)('the app', () => {
  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    const { properties, identity } = made === undefined ? ({} as PredictedResource) : appOf(prediction);

    it('runs Node.js 22 on Flex Consumption', () => {
      const plan = only(prediction, 'Microsoft.Web/serverfarms');
      expect(plan.sku).toEqual({ name: 'FC1', tier: 'FlexConsumption' });
      expect(plan.properties['reserved']).toBe(true);
      expect(at(properties, 'functionAppConfig.runtime')).toEqual({ name: 'node', version: '22' });
    });

    it('Azure.AppService.AvailabilityZone: spans zones in prod', () => {
      const plan = only(prediction, 'Microsoft.Web/serverfarms');
      expect(plan.properties['zoneRedundant']).toBe(prediction.environment === 'prod');
    });

    it('Azure.AppService.UseHTTPS, Azure.AppService.MinTLS: TLS 1.2 or later, also for deployments', () => {
      expect(properties['httpsOnly']).toBe(true);
      expect(at(properties, 'siteConfig.minTlsVersion')).toBe('1.2');
      expect(at(properties, 'siteConfig.scmMinTlsVersion')).toBe('1.2');
    });

    it('Azure.AppService.WebSecureFtp, Azure.AppService.RemoteDebug: no FTP, no debugger, no publishing password', () => {
      expect(at(properties, 'siteConfig.ftpsState')).toBe('Disabled');
      expect(at(properties, 'siteConfig.remoteDebuggingEnabled')).toBe(false);
      const policies = ofType(prediction, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies');
      expect(policies.map((one) => [one.name, one.properties])).toEqual([
        ['ftp', { allow: false }],
        ['scm', { allow: false }],
      ]);
    });

    it('Azure.AppService.HTTP2, Azure.AppService.ARRAffinity', () => {
      expect(at(properties, 'siteConfig.http20Enabled')).toBe(true);
      expect(properties['clientAffinityEnabled']).toBe(false);
    });

    it('Azure.AppService.ManagedIdentity: signs in with its identities, to its own storage too', () => {
      expect(at(identity, 'type')).toBe('UserAssigned');
      expect(Object.keys(at(identity, 'userAssignedIdentities') as object)).toHaveLength(2);
      const storage = at(properties, 'functionAppConfig.deployment.storage');
      expect(at(storage, 'authentication.type')).toBe('UserAssignedIdentity');
      expect(properties).toHaveProperty('keyVaultReferenceIdentity');
    });

    it('is reached through its private endpoint only, and denies even an address that is let in', () => {
      expect(properties['publicNetworkAccess']).toBe('Disabled');
      expect(properties['siteConfig']).toMatchObject({
        ipSecurityRestrictionsDefaultAction: 'Deny',
        scmIpSecurityRestrictionsDefaultAction: 'Deny',
        scmIpSecurityRestrictionsUseMain: false,
      });
      const endpoints = ofType(prediction, 'Microsoft.Network/privateEndpoints').filter(
        (one) => at(one.properties, 'privateLinkServiceConnections.0.properties.groupIds.0') === 'sites',
      );
      expect(endpoints).toHaveLength(1);
      expect(properties['virtualNetworkSubnetId']).toMatch(/appSubnetId|subnets\/app/);
    });

    it('has instances of one core, and more than one ready in prod', () => {
      const scale = at(properties, 'functionAppConfig.scaleAndConcurrency');
      expect(at(scale, 'instanceMemoryMB')).toBe(2048);
      expect(at(scale, 'triggers.http.perInstanceConcurrency')).toBe(32);
      const ready = at(scale, 'alwaysReady') as { name: string; instanceCount: number }[];
      expect(ready).toEqual(
        prediction.environment === 'dev'
          ? []
          : [{ name: 'http', instanceCount: prediction.environment === 'prod' ? 2 : 1 }],
      );
    });
  });
});

describe('the budget of connections', () => {
  const files = (pattern: string): string[] =>
    globSync(pattern, { cwd: ROOT }).filter((one) => !one.includes('.test.'));
  const timers = files('functions/timer/*.ts').length;
  // The sender of mails consumes `notifications`, not this app.
  const consumed = QUEUES.filter(({ name }) => name !== 'notifications').length;
  /** Of a size of server: Azure's highest max_connections that its default is for. */
  const HOLDS: Readonly<Record<string, number>> = {
    Standard_B2ms: 859,
    Standard_D2ds_v5: 859,
    Standard_D4ds_v5: 1718,
  };

  it('counts every function that scales alone', () => {
    const source = sourceOf('main.bicep');
    expect(Number(/^var timerFunctions = (\d+)$/m.exec(source)?.[1])).toBe(timers);
    expect(files('functions/queue/*.ts')).toHaveLength(consumed);
    const { DATABASE_POOL_MAX: pool, DATABASE_CROSS_TENANT_POOL_MAX: crossTenant } = settingsSchema.shape;
    expect(Number(/^var poolMax = (\d+)$/m.exec(source)?.[1])).toBe(pool.parse(undefined));
    expect(Number(/^var crossTenantPoolMax = (\d+)$/m.exec(source)?.[1])).toBe(crossTenant.parse(undefined));
  });

  it.runIf(made !== undefined).each(made?.predictions ?? [])(
    'in $environment: all instances with full pools fit what the server accepts, and its size holds it',
    (prediction) => {
      const settings = settingsOf(prediction);
      const pools =
        Number(settings['DATABASE_POOL_MAX']) + Number(settings['DATABASE_CROSS_TENANT_POOL_MAX']) + 1;
      const most = Number(
        at(appOf(prediction).properties, 'functionAppConfig.scaleAndConcurrency.maximumInstanceCount'),
      );
      const worst = ((1 + consumed) * most + timers) * pools + timers;
      const accepted = ofType(prediction, 'Microsoft.DBforPostgreSQL/flexibleServers/configurations').filter(
        (one) => one.name === 'max_connections',
      );
      expect(accepted).toHaveLength(3);
      const servers = ofType(prediction, 'Microsoft.DBforPostgreSQL/flexibleServers');
      for (const { properties } of accepted) {
        // 15 are the service's own.
        expect(Number(properties['value'])).toBeGreaterThanOrEqual(worst + 15);
        for (const { sku } of servers)
          expect(Number(properties['value'])).toBeLessThanOrEqual(HOLDS[String(at(sku, 'name'))] ?? 0);
      }
      // The comment in main.bicep has the same numbers.
      const row = new RegExp(`// {3}${prediction.environment} +\\(.*= +([\\d ]+)$`, 'm');
      expect(Number(row.exec(sourceOf('main.bicep'))?.[1]?.replace(' ', ''))).toBe(worst);
    },
  );
});
