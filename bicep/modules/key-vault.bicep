// One key vault. It has no values from a template: `tools/deploy` makes what can be generated, once, and people set the rest.

import { grant } from '../types.bicep'

@description('The region.')
param location string

@description('Tags of every resource.')
param tags object

@description('The vault’s name: 3 to 24 letters, digits and hyphens, unique in Azure.')
@minLength(3)
@maxLength(24)
param name string

@description('Where its private endpoint is.')
param privateEndpointSubnetId string

@description('The zone privatelink.vaultcore.azure.net.')
param privateDnsZoneId string

@description('Receives the audit log: who read which secret, when.')
param logAnalyticsWorkspaceId string

@description('Who may what in this vault.')
param grants grant[]

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    // Roles, not access policies: they show where all other rights show.
    enableRbacAuthorization: true
    // A lost key-encryption key would make all sealed content unreadable, so nobody can remove it for good within 90 days.
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: 'Disabled'
    networkAcls: {
      defaultAction: 'Deny'
      // Application Gateway renews its certificate as a trusted service of Azure.
      bypass: 'AzureServices'
      ipRules: []
      virtualNetworkRules: []
    }
  }
}

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for given in grants: {
    scope: vault
    name: guid(vault.id, given.principalId, given.roleDefinitionId)
    properties: {
      principalId: given.principalId
      principalType: given.principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', given.roleDefinitionId)
    }
  }
]

resource privateEndpoint 'Microsoft.Network/privateEndpoints@2024-10-01' = {
  name: 'pep-${name}'
  location: location
  tags: tags
  properties: {
    subnet: { id: privateEndpointSubnetId }
    customNetworkInterfaceName: 'nic-${name}'
    privateLinkServiceConnections: [
      { name: 'vault', properties: { privateLinkServiceId: vault.id, groupIds: ['vault'] } }
    ]
  }

  resource zones 'privateDnsZoneGroups' = {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [{ name: 'vault', properties: { privateDnsZoneId: privateDnsZoneId } }]
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'to-workspace'
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Its address.')
output uri string = vault.properties.vaultUri

@description('Its name.')
output name string = vault.name
