// The Function App on Flex Consumption. Only the gateway reaches it, through a private endpoint.

@description('The region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Workload and environment: comply-ai-dev.')
param namePrefix string

@description('Makes globally unique names.')
param suffix string

@description('Receives the diagnostic logs.')
param logAnalyticsWorkspaceId string

@description('Where the app sends its telemetry.')
param applicationInsightsConnectionString string

@description('The subnet of outbound traffic, delegated to Microsoft.App/environments.')
param appSubnetId string

@description('Where the app’s private endpoint is.')
param privateEndpointSubnetId string

@description('The zone privatelink.azurewebsites.net.')
param privateDnsZoneId string

@description('The app’s identity.')
param appIdentityId string

@description('The app’s identity, as a client names it.')
param appClientId string

@description('The identity of comply_jobs.')
param jobsIdentityId string

@description('The storage account of the Functions host, not of the evidence.')
param hostAccountName string

@description('The container of the deployed package.')
param deploymentContainerUrl string

@description('The Service Bus namespace. Triggers and the app use it with the app’s identity.')
param serviceBusNamespace string

@description('The app’s own settings: those of shared/platform/config/settings.ts.')
param settings object

@description('The most instances of each function that scales alone, and of all HTTP functions together. See the budget in main.bicep.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int

@description('Instances for HTTP that never stop. 0: the first request after a pause waits for a cold start.')
@minValue(0)
param alwaysReadyHttp int

@description('Whether instances are spread over the region’s availability zones.')
param zoneRedundant bool

// 2048 MB is one core. The app uses about 200 MB, so 512 MB would fit too, with a quarter of a core: sealing and JSON cost
// processor time, and a request would take four times as long. 4096 MB has two cores, and Node.js computes on one.
var instanceMemoryMB = 2048

// The default at 2048 MB is 16. Requests wait for PostgreSQL most of their time, and the write coalescer needs company: the
// measured rates of docs/performance.md are those of 32 connections to one instance.
var httpConcurrency = 32

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${namePrefix}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: {
    reserved: true // Linux
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-${namePrefix}-${suffix}'
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${appIdentityId}': {}, '${jobsIdentityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    // Private means the deployment endpoint too: `tools/deploy` says how a package gets there.
    publicNetworkAccess: 'Disabled'
    virtualNetworkSubnetId: appSubnetId
    keyVaultReferenceIdentity: appIdentityId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUrl
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: appIdentityId }
        }
      }
      runtime: { name: 'node', version: '22' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyHttp > 0 ? [{ name: 'http', instanceCount: alwaysReadyHttp }] : []
        triggers: { http: { perInstanceConcurrency: httpConcurrency } }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      // For the minutes of a deployment from outside, tools/deploy lets one address in. These deny everyone else even then,
      // and the app itself to everyone: only the private endpoint, which these do not concern, reaches it.
      ipSecurityRestrictionsDefaultAction: 'Deny'
      scmIpSecurityRestrictionsDefaultAction: 'Deny'
      scmIpSecurityRestrictionsUseMain: false
    }
  }

  // Deployments sign in with Entra. The user name and password of a publishing profile are off.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }

  resource appSettings 'config' = {
    name: 'appsettings'
    properties: union(
      {
        // The host's own storage, by identity: keys of timers, locks, the package.
        AzureWebJobsStorage__accountName: hostAccountName
        AzureWebJobsStorage__credential: 'managedidentity'
        AzureWebJobsStorage__clientId: appClientId
        // The triggers' connection. The app reads the first of the three, see SERVICE_BUS_CONNECTION in settings.ts.
        SERVICE_BUS_CONNECTION__fullyQualifiedNamespace: serviceBusNamespace
        SERVICE_BUS_CONNECTION__credential: 'managedidentity'
        SERVICE_BUS_CONNECTION__clientId: appClientId
        // Which of the two identities DefaultAzureCredential is.
        AZURE_CLIENT_ID: appClientId
        APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${appClientId};Authorization=AAD'
      },
      // Makes the slowest requests faster, but may start Node.js twice: only where instances do not begin with a request.
      alwaysReadyHttp > 0 ? { languageWorkers__node__arguments: '--max-semi-space-size=32' } : {},
      settings
    )
  }
}

resource privateEndpoint 'Microsoft.Network/privateEndpoints@2024-10-01' = {
  name: 'pep-${app.name}'
  location: location
  tags: tags
  properties: {
    subnet: { id: privateEndpointSubnetId }
    customNetworkInterfaceName: 'nic-${app.name}'
    privateLinkServiceConnections: [
      { name: 'sites', properties: { privateLinkServiceId: app.id, groupIds: ['sites'] } }
    ]
  }

  resource zones 'privateDnsZoneGroups' = {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [{ name: 'sites', properties: { privateDnsZoneId: privateDnsZoneId } }]
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'to-workspace'
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource planDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: plan
  name: 'to-workspace'
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('The app.')
output id string = app.id

@description('Its name.')
output name string = app.name

@description('The name at which the gateway reaches it. It resolves to the private endpoint.')
output hostName string = app.properties.defaultHostName
