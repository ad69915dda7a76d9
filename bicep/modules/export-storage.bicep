import { exportAccount } from '../names.bicep'

metadata description = 'The storage account of tenants\' exports: a container for each export, which the app makes, offers by a link that expires, and deletes.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string
@description('Makes names unique in the world.')
@minLength(5)
param suffix string
@description('How it is replicated. An export can be made again.')
@allowed(['Standard_LRS', 'Standard_ZRS'])
param skuName string
@description('Whether links work from the internet. Without it, only from networks that reach the private endpoint.')
param openToInternet bool = false
@description('The app\'s identity.')
param appPrincipalId string
@description('The subnet of private endpoints.')
param privateEndpointSubnetId string
@description('The zone privatelink.blob.core.windows.net.')
param blobDnsZoneId string
@description('Where logs and metrics go.')
param logAnalyticsWorkspaceId string

// Besides blobs it may make and delete containers, and get the key that links are signed with. Hence an account of its own: there is no
// evidence in it.
var dataContributor = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor
)

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: exportAccount(namePrefix, suffix)
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: skuName }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    // No key signs a link: each is signed for the app's identity, and ends with its rights.
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: openToInternet ? 'Enabled' : 'Disabled'
    networkAcls: { defaultAction: openToInternet ? 'Allow' : 'Deny', bypass: 'None', ipRules: [], virtualNetworkRules: [] }
    encryption: {
      requireInfrastructureEncryption: true
      keySource: 'Microsoft.Storage'
      services: { blob: { enabled: true, keyType: 'Account' }, file: { enabled: true, keyType: 'Account' } }
    }
  }
}

// An export has everything of a tenant in clear, and the tenant may be erased: what is deleted can be restored for the shortest time that
// there is.
resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 1, allowPermanentDelete: false }
    containerDeleteRetentionPolicy: { enabled: true, days: 1 }
    isVersioningEnabled: false
  }
}

resource appOnAccount 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, dataContributor, 'app')
  scope: account
  properties: { principalId: appPrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: dataContributor }
}

module endpoint 'private-endpoint.bicep' = {
  name: 'exports-endpoint'
  params: {
    location: location
    tags: tags
    name: '${account.name}-blob'
    resourceId: account.id
    groupId: 'blob'
    dnsZoneId: blobDnsZoneId
    subnetId: privateEndpointSubnetId
  }
}

resource accountMetrics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account
  properties: { workspaceId: logAnalyticsWorkspaceId, metrics: [{ category: 'Transaction', enabled: true }] }
}

// Who read which export.
resource blobLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: blobs
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

@description('The setting EXPORT_BLOB_URL.')
output exportBlobUri string = account.properties.primaryEndpoints.blob
