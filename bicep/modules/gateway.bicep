// Application Gateway with its web application firewall: the only public address that accepts requests.

@description('The region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Workload and environment: comply-ai-dev.')
param namePrefix string

@description('Receives access and firewall logs.')
param logAnalyticsWorkspaceId string

@description('The gateway’s own subnet.')
param subnetId string

@description('Its public address.')
param publicAddressId string

@description('Its identity, which may read the certificate.')
param identityId string

@description('The vault of the certificate, with a slash at the end.')
param certificateVaultUri string

@description('The certificate’s name in the vault. Without a version: the gateway takes a renewed one within four hours.')
param certificateName string

@description('The app’s name, which resolves to its private endpoint.')
param appHostName string

@description('The fewest instances, besides those that load brings.')
@minValue(0)
param minimumInstances int

@description('The most instances.')
@minValue(2)
param maximumInstances int

@description('Whether instances are in three availability zones.')
param zoneRedundant bool

var name = 'agw-${namePrefix}'

// The largest body of a route is a batch of 8 MiB (BATCH_BODY_LIMIT). What says that it is larger is refused here, before it
// costs the app anything. The app counts what comes, also without Content-Length, against each route's own limit.
var largestBodyBytes = 8 * 1024 * 1024

// What a client could send and something behind the gateway might believe. X-Forwarded-For becomes the client's address alone.
var removedHeaders = [
  'Forwarded'
  'X-Forwarded-Host'
  'X-Forwarded-Server'
  'X-Original-Host'
  'X-Original-URL'
  'X-Rewrite-URL'
  'X-Real-IP'
  'X-Client-IP'
  'True-Client-IP'
  'X-MS-CLIENT-PRINCIPAL'
  'X-MS-CLIENT-PRINCIPAL-ID'
  'X-MS-CLIENT-PRINCIPAL-NAME'
  'X-ARR-ClientCert'
]

resource firewall 'Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies@2024-10-01' = {
  name: 'waf-${namePrefix}'
  location: location
  tags: tags
  properties: {
    policySettings: {
      state: 'Enabled'
      mode: 'Prevention'
      // Addresses, queries and headers are inspected, bodies are not. Evidence is what people and models wrote: injections and
      // scripts are what the detectors are there to find, and a firewall that stops them would lose the evidence of them. The
      // app takes a body as JSON of a strict schema and gives values to PostgreSQL as parameters. Without inspection the
      // firewall's own limit of a body, at most 2 MB, does not apply either.
      requestBodyCheck: false
      // Logs have the rule and the place of a match, not the matched text: it may be a tenant's content or a key.
      logScrubbing: {
        state: 'Enabled'
        scrubbingRules: [
          { state: 'Enabled', matchVariable: 'RequestHeaderNames', selectorMatchOperator: 'EqualsAny' }
          { state: 'Enabled', matchVariable: 'RequestArgNames', selectorMatchOperator: 'EqualsAny' }
        ]
      }
    }
    managedRules: {
      managedRuleSets: [
        { ruleSetType: 'Microsoft_DefaultRuleSet', ruleSetVersion: '2.1' }
        { ruleSetType: 'Microsoft_BotManagerRuleSet', ruleSetVersion: '1.1' }
      ]
    }
    customRules: [
      {
        name: 'BodyTooLarge'
        priority: 5
        ruleType: 'MatchRule'
        action: 'Block'
        state: 'Enabled'
        matchConditions: [
          {
            matchVariables: [{ variableName: 'RequestHeaders', selector: 'Content-Length' }]
            operator: 'GreaterThan'
            matchValues: [string(largestBodyBytes)]
          }
        ]
      }
      {
        // A first limit by address, far above any tenant's rate: it only keeps one machine from using up the gateway.
        name: 'RateByAddress'
        priority: 10
        ruleType: 'RateLimitRule'
        action: 'Block'
        state: 'Enabled'
        rateLimitDuration: 'OneMin'
        rateLimitThreshold: 6000
        groupByUserSession: [{ groupByVariables: [{ variableName: 'ClientAddr' }] }]
        matchConditions: [
          {
            matchVariables: [{ variableName: 'RequestUri' }]
            operator: 'BeginsWith'
            matchValues: ['/']
          }
        ]
      }
    ]
  }
}

resource gateway 'Microsoft.Network/applicationGateways@2024-10-01' = {
  name: name
  location: location
  tags: tags
  zones: zoneRedundant ? ['1', '2', '3'] : null
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    sku: { name: 'WAF_v2', tier: 'WAF_v2' }
    autoscaleConfiguration: { minCapacity: minimumInstances, maxCapacity: maximumInstances }
    enableHttp2: true
    firewallPolicy: { id: firewall.id }
    // TLS 1.2 with forward secrecy, and 1.3.
    sslPolicy: { policyType: 'Predefined', policyName: 'AppGwSslPolicy20220101S' }
    gatewayIPConfigurations: [{ name: 'subnet', properties: { subnet: { id: subnetId } } }]
    frontendIPConfigurations: [{ name: 'public', properties: { publicIPAddress: { id: publicAddressId } } }]
    // Only 443. A redirect from 80 would answer a client that has just sent its key in clear.
    frontendPorts: [{ name: 'https', properties: { port: 443 } }]
    sslCertificates: [
      {
        name: 'certificate'
        properties: { keyVaultSecretId: '${certificateVaultUri}secrets/${certificateName}' }
      }
    ]
    httpListeners: [
      {
        name: 'https'
        properties: {
          protocol: 'Https'
          frontendIPConfiguration: {
            id: resourceId('Microsoft.Network/applicationGateways/frontendIPConfigurations', name, 'public')
          }
          frontendPort: { id: resourceId('Microsoft.Network/applicationGateways/frontendPorts', name, 'https') }
          sslCertificate: { id: resourceId('Microsoft.Network/applicationGateways/sslCertificates', name, 'certificate') }
        }
      }
    ]
    backendAddressPools: [{ name: 'app', properties: { backendAddresses: [{ fqdn: appHostName }] } }]
    backendHttpSettingsCollection: [
      {
        name: 'app'
        properties: {
          protocol: 'Https'
          port: 443
          // The app's certificate is Azure's for its own name, and the gateway checks it.
          pickHostNameFromBackendAddress: true
          cookieBasedAffinity: 'Disabled'
          // Azure's load balancer ends a request after 230 s.
          requestTimeout: 230
          connectionDraining: { enabled: true, drainTimeoutInSec: 60 }
          probe: { id: resourceId('Microsoft.Network/applicationGateways/probes', name, 'ready') }
        }
      }
    ]
    probes: [
      {
        name: 'ready'
        properties: {
          protocol: 'Https'
          path: '/api/health/ready'
          pickHostNameFromBackendHttpSettings: true
          interval: 15
          timeout: 10
          unhealthyThreshold: 3
          // There is one app. Were it taken out while a database is away, the gateway's own 502 would replace the app's 503
          // with Retry-After. So 503 is an answer too; what is unhealthy does not answer at all.
          match: { statusCodes: ['200', '503'] }
        }
      }
    ]
    rewriteRuleSets: [
      {
        name: 'only-the-truth'
        properties: {
          rewriteRules: [
            {
              name: 'headers'
              ruleSequence: 100
              conditions: []
              actionSet: {
                requestHeaderConfigurations: concat(
                  [{ headerName: 'X-Forwarded-For', headerValue: '{var_client_ip}' }],
                  // A header without a value is removed.
                  map(removedHeaders, header => { headerName: header, headerValue: '' })
                )
                responseHeaderConfigurations: [
                  { headerName: 'Strict-Transport-Security', headerValue: 'max-age=31536000; includeSubDomains' }
                ]
              }
            }
          ]
        }
      }
    ]
    requestRoutingRules: [
      {
        name: 'to-app'
        properties: {
          ruleType: 'Basic'
          priority: 100
          httpListener: { id: resourceId('Microsoft.Network/applicationGateways/httpListeners', name, 'https') }
          backendAddressPool: { id: resourceId('Microsoft.Network/applicationGateways/backendAddressPools', name, 'app') }
          backendHttpSettings: {
            id: resourceId('Microsoft.Network/applicationGateways/backendHttpSettingsCollection', name, 'app')
          }
          rewriteRuleSet: { id: resourceId('Microsoft.Network/applicationGateways/rewriteRuleSets', name, 'only-the-truth') }
        }
      }
    ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: gateway
  name: 'to-workspace'
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('The gateway.')
output id string = gateway.id

@description('Its name.')
output name string = gateway.name
