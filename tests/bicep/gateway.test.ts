import { describe, expect, it } from 'vitest';
import { BATCH_BODY_LIMIT } from '../../shared/platform/writes/batch.ts';
import { at, compiled, EXAMPLE_VARIABLES, ofType, predictedWith, type Prediction } from './compiled.ts';

// Names of rules are those of PSRule for Azure.

const made = await compiled();
/** The first provision of an environment. */
const first = made && (await predictedWith('dev', {}, { ...EXAMPLE_VARIABLES, GATEWAY_CERTIFICATE: '' }));

const GATEWAY = 'Microsoft.Network/applicationGateways';
const FIREWALL = 'Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies';

describe.runIf(made !== undefined)('the gateway', () => {
  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    const isProd = prediction.environment === 'prod';
    const [gateway] = made === undefined ? [] : ofType(prediction, GATEWAY);
    const [firewall] = made === undefined ? [] : ofType(prediction, FIREWALL);
    const properties = gateway?.properties ?? {};
    const list = (name: string) =>
      properties[name] as { name: string; properties: Record<string, unknown> }[];

    it('Azure.AppGw.MigrateV2, Azure.AppGw.UseWAF: version 2 with a firewall policy', () => {
      expect(properties['sku']).toEqual({ name: 'WAF_v2', tier: 'WAF_v2' });
      expect(at(properties, 'firewallPolicy.id')).toBe(firewall?.id);
    });

    it('Azure.AppGw.MinTLS, Azure.AppGw.SSLPolicy: TLS 1.2 with forward secrecy, or 1.3', () => {
      expect(properties['sslPolicy']).toEqual({
        policyType: 'Predefined',
        policyName: 'AppGwSslPolicy20220101S',
      });
    });

    it('Azure.AppGw.UseHTTPS: port 443 only; plain HTTP is not even redirected', () => {
      expect(list('frontendPorts').map((one) => one.properties['port'])).toEqual([443]);
      expect(list('httpListeners').map((one) => one.properties['protocol'])).toEqual(['Https']);
      expect(properties).not.toHaveProperty('redirectConfigurations');
    });

    it('Azure.AppGw.AvailabilityZone, Azure.AppGw.MinInstance: three zones and two instances in prod', () => {
      expect(gateway?.zones ?? []).toEqual(isProd ? ['1', '2', '3'] : []);
      if (isProd) expect(at(properties, 'autoscaleConfiguration.minCapacity')).toBeGreaterThanOrEqual(2);
    });

    it('reads its certificate from its own vault by its own identity, and the app cannot', () => {
      expect(at(gateway?.identity, 'type')).toBe('UserAssigned');
      const secret = String(list('sslCertificates')[0]?.properties['keyVaultSecretId']);
      // Without a version, so that a renewed certificate is taken.
      expect(secret).toMatch(/vaults\/kvg-.*\{0\}secrets\/\{1\}|\{0\}secrets\/\{1\}.*vaults\/kvg-/);
      expect(secret).toContain("'gateway-certificate')");
    });

    it('asks for readiness over TLS, and leaves the app’s own 503 to the client', () => {
      const [probe] = list('probes');
      expect(probe?.properties).toMatchObject({
        protocol: 'Https',
        path: '/api/health/ready',
        match: { statusCodes: ['200', '503'] },
      });
      const [backend] = list('backendHttpSettingsCollection');
      expect(backend?.properties).toMatchObject({
        protocol: 'Https',
        port: 443,
        pickHostNameFromBackendAddress: true,
        cookieBasedAffinity: 'Disabled',
      });
    });

    it('tells the app the client’s address, and nothing that a client claims of itself', () => {
      const [rules] = list('rewriteRuleSets');
      const headers = at(rules?.properties, 'rewriteRules.0.actionSet.requestHeaderConfigurations') as {
        headerName: string;
        headerValue: string;
      }[];
      const set = Object.fromEntries(headers.map((one) => [one.headerName, one.headerValue]));
      expect(set['X-Forwarded-For']).toBe('{var_client_ip}');
      const removed = Object.keys(set).filter((name) => set[name] === '');
      expect(removed).toEqual(
        expect.arrayContaining(['Forwarded', 'X-Forwarded-Host', 'X-Original-Host', 'X-MS-CLIENT-PRINCIPAL']),
      );
      // Every request goes through the rules.
      for (const rule of list('requestRoutingRules'))
        expect(at(rule.properties, 'rewriteRuleSet.id')).toMatch(/only-the-truth$/);
    });

    it('Azure.AppGwWAF.Enabled, Azure.AppGwWAF.PreventionMode', () => {
      expect(firewall?.properties['policySettings']).toMatchObject({ state: 'Enabled', mode: 'Prevention' });
    });

    it('Azure.AppGwWAF.RuleGroups, Azure.AppGwWAF.Exclusions: the default rules and the bot rules, without exceptions', () => {
      const rules = at(firewall?.properties, 'managedRules');
      expect(at(rules, 'managedRuleSets')).toEqual([
        { ruleSetType: 'Microsoft_DefaultRuleSet', ruleSetVersion: '2.1' },
        { ruleSetType: 'Microsoft_BotManagerRuleSet', ruleSetVersion: '1.1' },
      ]);
      expect(at(rules, 'exclusions')).toBeUndefined();
    });

    it('refuses bodies that no route takes, and none that a route takes', () => {
      const custom = firewall?.properties['customRules'] as {
        name: string;
        action: string;
        matchConditions: unknown;
      }[];
      const size = custom.find((one) => one.name === 'BodyTooLarge');
      expect(size?.action).toBe('Block');
      expect(at(size?.matchConditions, '0.operator')).toBe('GreaterThan');
      expect(Number(at(size?.matchConditions, '0.matchValues.0'))).toBe(BATCH_BODY_LIMIT);
      // Inspection would bring the firewall's own limit of 2 MB, and stop evidence of attacks.
      expect(at(firewall?.properties, 'policySettings.requestBodyCheck')).toBe(false);
    });

    it('keeps what matched out of the logs', () => {
      expect(at(firewall?.properties, 'policySettings.logScrubbing.state')).toBe('Enabled');
    });
  });

  it('does not exist until its certificate does', () => {
    expect(() => ofType(first as Prediction, GATEWAY)).toThrow('has no');
    const vaults = ofType(first as Prediction, 'Microsoft.KeyVault/vaults');
    expect(vaults.map((one) => one.name.split('-')[0])).toEqual(['kv', 'kvg']);
  });
});
