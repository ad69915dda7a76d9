import { evidenceAccount } from '../names.bicep'

metadata description = 'A Backup vault, and the backup of evidence in it: a copy that nobody with rights on the storage account can reach.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string
@description('What makes the evidence account\'s name unique.')
@minLength(5)
param suffix string
@description('The containers to back up.')
param evidenceContainers array
@description('How long a backup is kept.')
@minValue(30)
param retentionDays int = 365
@description('`Unlocked`: backups cannot be deleted early, and an administrator can end that. `Locked`: nobody can, for ever.')
@allowed(['Disabled', 'Unlocked', 'Locked'])
param vaultImmutability string = 'Unlocked'
@description('Whether the vault is also in the paired region, and can be restored there.')
param geoRedundant bool = true
@description('Where logs and metrics go.')
param logAnalyticsWorkspaceId string

var backupContributor = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'e5e2a7ff-d759-4cd2-bb51-3152d37e2eb1' // Storage Account Backup Contributor
)

var evidenceAccountName = evidenceAccount(namePrefix, suffix)

resource evidence 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: evidenceAccountName
}

resource vault 'Microsoft.DataProtection/backupVaults@2025-01-01' = {
  name: 'bvault-${namePrefix}'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    storageSettings: [{ datastoreType: 'VaultStore', type: geoRedundant ? 'GeoRedundant' : 'LocallyRedundant' }]
    securitySettings: {
      softDeleteSettings: { state: 'On', retentionDurationInDays: 14 }
      immutabilitySettings: { state: vaultImmutability }
    }
    featureSettings: geoRedundant ? { crossRegionRestoreSettings: { state: 'Enabled' } } : {}
    monitoringSettings: { azureMonitorAlertSettings: { alertsForAllJobFailures: 'Enabled' } }
  }
}

// Vaulted, not operational: operational backup is the account's own point-in-time restore, which immutability excludes. Vaulted
// backup copies blobs out of the account. Blobs that are in the archive tier by then are not copied: the first ninety days are what it
// protects, and each copy then stays for its own retention.
resource policy 'Microsoft.DataProtection/backupVaults/backupPolicies@2025-01-01' = {
  parent: vault
  name: 'evidence-weekly'
  properties: {
    objectType: 'BackupPolicy'
    datasourceTypes: ['Microsoft.Storage/storageAccounts/blobServices']
    policyRules: [
      {
        objectType: 'AzureBackupRule'
        name: 'BackupWeekly'
        backupParameters: { objectType: 'AzureBackupParams', backupType: 'Discrete' }
        dataStore: { objectType: 'DataStoreInfoBase', dataStoreType: 'VaultStore' }
        trigger: {
          objectType: 'ScheduleBasedTriggerContext'
          schedule: { repeatingTimeIntervals: ['R/2026-01-04T03:00:00+00:00/P1W'], timeZone: 'UTC' }
          taggingCriteria: [
            { isDefault: true, taggingPriority: 99, tagInfo: { tagName: 'Default' } }
          ]
        }
      }
      {
        objectType: 'AzureRetentionRule'
        name: 'Default'
        isDefault: true
        lifecycles: [
          {
            deleteAfter: { objectType: 'AbsoluteDeleteOption', duration: 'P${retentionDays}D' }
            sourceDataStore: { objectType: 'DataStoreInfoBase', dataStoreType: 'VaultStore' }
            targetDataStoreCopySettings: []
          }
        ]
      }
    ]
  }
}

resource vaultOnEvidence 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(evidence.id, backupContributor, 'vault')
  scope: evidence
  properties: {
    principalId: vault.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: backupContributor
  }
}

resource instance 'Microsoft.DataProtection/backupVaults/backupInstances@2025-01-01' = {
  parent: vault
  name: evidenceAccountName
  dependsOn: [vaultOnEvidence]
  properties: {
    objectType: 'BackupInstance'
    friendlyName: evidenceAccountName
    dataSourceInfo: {
      objectType: 'Datasource'
      datasourceType: 'Microsoft.Storage/storageAccounts/blobServices'
      resourceType: 'Microsoft.Storage/storageAccounts'
      resourceID: evidence.id
      resourceName: evidence.name
      resourceLocation: location
      resourceUri: evidence.id
    }
    dataSourceSetInfo: {
      objectType: 'DatasourceSet'
      datasourceType: 'Microsoft.Storage/storageAccounts/blobServices'
      resourceType: 'Microsoft.Storage/storageAccounts'
      resourceID: evidence.id
      resourceName: evidence.name
      resourceLocation: location
      resourceUri: evidence.id
    }
    policyInfo: {
      policyId: policy.id
      policyParameters: {
        backupDatasourceParametersList: [
          { objectType: 'BlobBackupDatasourceParameters', containersList: evidenceContainers }
        ]
      }
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('The vault.')
output vaultId string = vault.id
