import { evidenceAccount, hostAccount } from '../names.bicep'

metadata description = 'Two storage accounts: one for evidence, which nobody can change or delete before its time, and one for the functions host.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string
@description('Makes names unique in the world.')
@minLength(5)
param suffix string

@description('How evidence is replicated. Not a zone-redundant kind: those have no archive tier. `Standard_RAGRS` adds an endpoint for reading in the second region, which this app does not use.')
@allowed(['Standard_LRS', 'Standard_GRS', 'Standard_RAGRS'])
param evidenceSkuName string = 'Standard_GRS'
@description('How the host\'s account is replicated. It holds what a deployment makes again.')
@allowed(['Standard_LRS', 'Standard_ZRS'])
param hostSkuName string = 'Standard_ZRS'
@description('Days in which nobody can change or delete a blob of a 7-year class. 2557 is the longest that seven calendar years can be.')
@minValue(2555)
@maxValue(146000)
param immutabilityDays int = 2557
@description('`unlocked`: the template keeps the immutability policies, and an administrator can remove them. `locked`: they were locked by `az storage container immutability-policy lock`, which nobody can undo, and the template leaves them alone. Locking is no part of a template: see docs/deployment.md.')
@allowed(['unlocked', 'locked'])
param immutability string = 'unlocked'
@description('Days in which a deleted blob, version or container can be restored.')
@minValue(7)
@maxValue(365)
param softDeleteDays int = 30
@description('Whether the evidence account can be deleted only after its lock is.')
param deleteLock bool = false

@description('The app\'s identity.')
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

// One container for each of the reference's five path families, named as in shared/platform/blob/blob-store.ts. Immutability is set
// for a whole container, so classes with different retention cannot share one. `archived`: whether the archive tier's minimum of 180
// days fits into the class's retention after day 90. `tests/bicep` compares all of this with the code.
var containers = [
  { name: 'mapper-outputs', retentionClass: 'mapping_results', immutable: true, archived: true }
  { name: 'audit-logs', retentionClass: 'audit_logs', immutable: true, archived: true }
  { name: 'models', retentionClass: 'model_artifacts', immutable: false, archived: true }
  { name: 'backups', retentionClass: 'backups', immutable: false, archived: true }
  { name: 'training-data', retentionClass: 'training_data', immutable: false, archived: false }
]
var coolAfterDays = 30
var archiveAfterDays = 90

var dataContributor = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor
)

var closed = {
  allowBlobPublicAccess: false
  allowCrossTenantReplication: false
  allowSharedKeyAccess: false
  defaultToOAuthAuthentication: true
  minimumTlsVersion: 'TLS1_2'
  publicNetworkAccess: 'Disabled'
  supportsHttpsTrafficOnly: true
  // Azure Backup is a trusted service: it reaches an account without public access.
  networkAcls: { defaultAction: 'Deny', bypass: 'AzureServices', ipRules: [], virtualNetworkRules: [] }
  encryption: {
    requireInfrastructureEncryption: true
    keySource: 'Microsoft.Storage'
    services: { blob: { enabled: true, keyType: 'Account' }, file: { enabled: true, keyType: 'Account' } }
  }
}

resource evidence 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: evidenceAccount(namePrefix, suffix)
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: evidenceSkuName }
  properties: union(closed, { accessTier: 'Hot' })
}

// No point-in-time restore: it and immutability exclude each other. Versions and soft delete protect what is not immutable. The app
// overwrites nothing, so versions cost nothing as long as nobody else does.
resource evidenceBlobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: evidence
  name: 'default'
  properties: {
    isVersioningEnabled: true
    // Azure Backup finds changes by it.
    changeFeed: { enabled: true, retentionInDays: softDeleteDays }
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays, allowPermanentDelete: false }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for one in containers: {
    parent: evidenceBlobs
    name: one.name
    properties: { publicAccess: 'None', metadata: { retention_class: one.retentionClass } }
  }
]

// For the container, not for versions: there a deletion before its time is refused, and the job sees that. With policies of versions
// it would seem to succeed and leave a version, changes of policies would not be in the audit log, and the account could not go back.
resource immutabilityPolicy 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = [
  for (one, n) in containers: if (one.immutable && immutability == 'unlocked') {
    parent: container[n]
    name: 'default'
    properties: { immutabilityPeriodSinceCreationInDays: immutabilityDays, allowProtectedAppendWrites: false }
  }
]

resource lockedPolicy 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' existing = [
  for (one, n) in containers: {
    parent: container[n]
    name: 'default'
  }
]

// The same tiers on the same days as the job `blobs-tier`, for blobs that the job does not know or did not reach. It deletes no
// blob: only the job knows legal holds. It does delete old versions, where a person overwrote or deleted something.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: evidence
  name: 'default'
  dependsOn: [evidenceBlobs]
  properties: {
    policy: {
      rules: [
        for one in containers: {
          // Letters and digits only.
          name: replace(one.retentionClass, '_', '')
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${one.name}/'] }
            actions: union(
              {
                baseBlob: union(
                  { tierToCool: { daysAfterCreationGreaterThan: coolAfterDays } },
                  one.archived ? { tierToArchive: { daysAfterCreationGreaterThan: archiveAfterDays } } : {}
                )
              },
              // An immutable container's versions are deleted by nobody before their time, and never by a lifecycle.
              one.immutable ? {} : { version: { delete: { daysAfterCreationGreaterThan: softDeleteDays } } }
            )
          }
        }
      ]
    }
  }
}

// For each container and not for the account, so that the app can make no other container and reads no property of the account.
// It may not change an immutability policy.
resource appOnContainer 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (one, n) in containers: {
    name: guid(container[n].id, dataContributor, 'app')
    scope: container[n]
    properties: { principalId: appPrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: dataContributor }
  }
]

module endpoint 'private-endpoint.bicep' = {
  name: 'evidence-endpoint'
  params: {
    location: location
    tags: tags
    name: '${evidence.name}-blob'
    resourceId: evidence.id
    groupId: 'blob'
    dnsZoneId: blobDnsZoneId
    subnetId: privateEndpointSubnetId
  }
}

module host 'host-storage.bicep' = {
  name: 'host-storage'
  params: {
    location: location
    tags: tags
    accountName: hostAccount(namePrefix, suffix)
    skuName: hostSkuName
    accountProperties: closed
    appPrincipalId: appPrincipalId
    privateEndpointSubnetId: privateEndpointSubnetId
    blobDnsZoneId: blobDnsZoneId
    queueDnsZoneId: queueDnsZoneId
    tableDnsZoneId: tableDnsZoneId
    logAnalyticsWorkspaceId: logAnalyticsWorkspaceId
  }
}

// An account has metrics only; the logs are its services'.
resource evidenceMetrics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: evidence
  properties: { workspaceId: logAnalyticsWorkspaceId, metrics: [{ category: 'Transaction', enabled: true }] }
}

resource evidenceLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: evidenceBlobs
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  name: 'keep'
  scope: evidence
  properties: { level: 'CanNotDelete', notes: 'Evidence of customers, kept for seven years.' }
}

@description('The setting BLOB_CONNECTION__blobServiceUri.')
output evidenceBlobUri string = evidence.properties.primaryEndpoints.blob
@description('The evidence account.')
output evidenceAccountId string = evidence.id
@description('The evidence account\'s name.')
output evidenceAccountName string = evidence.name
@description('Its containers.')
output evidenceContainers array = [for one in containers: one.name]
@description('The state of each container\'s immutability policy. With `locked` the deployment reads it from the account.')
output immutabilityPolicies array = [
  for (one, n) in containers: {
    container: one.name
    state: !one.immutable ? 'None' : immutability == 'locked' ? lockedPolicy[n].properties.state : 'Unlocked'
  }
]
@description('The host\'s account: the setting AzureWebJobsStorage__accountName.')
output hostAccountName string = host.outputs.accountName
@description('Where the app\'s package is.')
output deploymentContainerUrl string = host.outputs.deploymentContainerUrl
