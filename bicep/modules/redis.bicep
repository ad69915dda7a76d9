metadata description = 'Azure Managed Redis: a cache, and the counters of rate limits. Never the only copy of anything.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string
@description('Makes names unique in the world.')
param suffix string
@description('The size: a compound name, like `Balanced_B0` (0.5 GB) or `Balanced_B3` (3 GB, the reference\'s size). It can grow in place, not shrink.')
param skuName string
@description('Whether the data has a replica in another node. Without one, maintenance empties the cache.')
param highAvailability bool
@description('The app\'s identity, which may use the cache.')
param appPrincipalId string
@description('The subnet of private endpoints.')
param privateEndpointSubnetId string
@description('The zone privatelink.redis.azure.net.')
param redisDnsZoneId string
@description('Where logs and metrics go.')
param logAnalyticsWorkspaceId string

// `zones` must not be given: the service spreads the nodes over zones by itself where the region has them.
resource cluster 'Microsoft.Cache/redisEnterprise@2025-07-01' = {
  name: 'amr-${namePrefix}-${suffix}'
  location: location
  tags: tags
  sku: { name: skuName }
  properties: {
    minimumTlsVersion: '1.2'
    highAvailability: highAvailability ? 'Enabled' : 'Disabled'
    publicNetworkAccess: 'Disabled'
  }
}

// Of the reference's performance settings, the policy of eviction is the customer's. The memory follows from the size; keep-alive,
// TCP_NODELAY and lazy freeing are the service's.
resource database 'Microsoft.Cache/redisEnterprise/databases@2025-07-01' = {
  parent: cluster
  name: 'default'
  properties: {
    clientProtocol: 'Encrypted'
    // The service has no other port.
    port: 10000
    // One node serves all keys, so a script may use several. Up to 24 GB; it can become a cluster later, see docs/deployment.md.
    clusteringPolicy: 'NoCluster'
    evictionPolicy: 'AllKeysLRU'
    accessKeysAuthentication: 'Disabled'
    // Everything in it can be read again from the databases.
    persistence: { aofEnabled: false, rdbEnabled: false }
    deferUpgrade: 'NotDeferred'
  }

  resource app 'accessPolicyAssignments' = {
    name: 'app'
    properties: { accessPolicyName: 'default', user: { objectId: appPrincipalId } }
  }
}

module endpoint 'private-endpoint.bicep' = {
  name: 'redis-endpoint'
  dependsOn: [database]
  params: {
    location: location
    tags: tags
    name: cluster.name
    resourceId: cluster.id
    groupId: 'redisEnterprise'
    dnsZoneId: redisDnsZoneId
    subnetId: privateEndpointSubnetId
  }
}

// The metrics are the cluster's, the log of connections is the database's.
resource clusterDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: cluster
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource databaseDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: database
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

@description('Where the cache is.')
output hostName string = cluster.properties.hostName
@description('Its port: TLS only.')
output port int = database.properties.port
@description('The cluster.')
output id string = cluster.id
