metadata description = 'The storage account of the functions host: the app\'s package, and the leases by which one instance runs a timer.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The account\'s name.')
@minLength(3)
@maxLength(24)
param accountName string
@description('How it is replicated. It holds what a deployment makes again.')
@allowed(['Standard_LRS', 'Standard_ZRS'])
param skuName string
@description('What every account of this app has: closed to keys, to plain HTTP and to the internet.')
param accountProperties object
@description('The app\'s identity, which the host runs as.')
param appPrincipalId string
@description('The subnet of private endpoints.')
param privateEndpointSubnetId string
@description('The zone privatelink.blob.core.windows.net.')
param blobDnsZoneId string
@description('The zone privatelink.queue.core.windows.net.')
param queueDnsZoneId string
@description('The zone privatelink.table.core.windows.net.')
param tableDnsZoneId string
@description('Where logs and metrics go.')
param logAnalyticsWorkspaceId string

var deploymentContainer = 'deployments'

// What the Functions host needs for its leases, its package and its diagnostic events.
var roles = [
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88' // Storage Queue Data Contributor
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: accountName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: skuName }
  properties: union(accountProperties, { accessTier: 'Hot' })
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 7, allowPermanentDelete: false }
    containerDeleteRetentionPolicy: { enabled: true, days: 7 }
  }

  resource deployments 'containers' = {
    name: deploymentContainer
    properties: { publicAccess: 'None' }
  }
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in roles: {
    name: guid(account.id, role, 'app')
    scope: account
    properties: {
      principalId: appPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

module endpoint 'private-endpoint.bicep' = [
  for one in [
    { service: 'blob', zone: blobDnsZoneId }
    { service: 'queue', zone: queueDnsZoneId }
    { service: 'table', zone: tableDnsZoneId }
  ]: {
    name: 'host-${one.service}-endpoint'
    params: {
      location: location
      tags: tags
      name: '${account.name}-${one.service}'
      resourceId: account.id
      groupId: one.service
      dnsZoneId: one.zone
      subnetId: privateEndpointSubnetId
    }
  }
]

// An account has metrics only; the logs are its services'.
resource metrics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account
  properties: { workspaceId: logAnalyticsWorkspaceId, metrics: [{ category: 'Transaction', enabled: true }] }
}

resource blobLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: blobs
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

resource queueLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: queues
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

resource tableLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: tables
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

@description('The account\'s name.')
output accountName string = account.name
@description('Where the app\'s package is.')
output deploymentContainerUrl string = '${account.properties.primaryEndpoints.blob}${deploymentContainer}'
