metadata description = 'Service Bus: the queues of the app, from its own list.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string
@description('Makes names unique in the world.')
param suffix string
@description('Messaging units. One moves some thousand messages a second; the app packs up to 50 events into a message.')
@allowed([1, 2, 4, 8, 16])
param messagingUnits int = 1
@description('The app\'s identity, which sends and receives.')
param appPrincipalId string
@description('The subnet of private endpoints.')
param privateEndpointSubnetId string
@description('The zone privatelink.servicebus.windows.net.')
param serviceBusDnsZoneId string
@description('Where logs and metrics go.')
param logAnalyticsWorkspaceId string

// Made from shared/platform/bus/queues.ts by `npm run bicep:queues`; a test compares them.
var queues = loadJsonContent('../queues.json')

var senderRole = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39' // Azure Service Bus Data Sender
)
var receiverRole = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0' // Azure Service Bus Data Receiver
)

// Premium, because only Premium has private endpoints, and only with them can public access be off. Zones are used where the region
// has them. No geo-replication: what a lost namespace held is in the outboxes and tables, see the second region in
// docs/deployment.md.
resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: 'sbns-${namePrefix}-${suffix}'
  location: location
  tags: tags
  sku: { name: 'Premium', tier: 'Premium', capacity: messagingUnits }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: 'Disabled'
    premiumMessagingPartitions: 1
    zoneRedundant: true
  }
}

resource queue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [
  for definition in queues: {
    parent: namespace
    name: definition.name
    properties: {
      maxDeliveryCount: definition.maxDeliveryCount
      lockDuration: definition.lockDuration
      requiresDuplicateDetection: definition.requiresDuplicateDetection
      duplicateDetectionHistoryTimeWindow: definition.duplicateDetectionHistoryTimeWindow
      // The longest that there is where the list says "without a limit".
      defaultMessageTimeToLive: definition.defaultMessageTimeToLive
      // A message with a time to live of its own is kept too, unless the queue's own messages end.
      deadLetteringOnMessageExpiration: definition.deadLetteringOnMessageExpiration
      requiresSession: false
      enableBatchedOperations: true
      // The largest message is one event. Its own limit is the request body's.
      maxMessageSizeInKilobytes: 1024
      maxSizeInMegabytes: 81920
    }
  }
]

// Nobody may manage queues, and each right is for one queue. An assignment's name does not come from the principal, which is known
// only when it is made: `what-if` could predict nothing of it.
resource senders 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (definition, n) in queues: {
    name: guid(queue[n].id, senderRole, 'app')
    scope: queue[n]
    properties: { principalId: appPrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: senderRole }
  }
]

// Whoever reads `notifications` has the tokens of mails: only their sender may.
resource receivers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (definition, n) in queues: if (definition.name != 'notifications') {
    name: guid(queue[n].id, receiverRole, 'app')
    scope: queue[n]
    properties: { principalId: appPrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: receiverRole }
  }
]

module endpoint 'private-endpoint.bicep' = {
  name: 'bus-endpoint'
  params: {
    location: location
    tags: tags
    name: namespace.name
    resourceId: namespace.id
    groupId: 'namespace'
    dnsZoneId: serviceBusDnsZoneId
    subnetId: privateEndpointSubnetId
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: namespace
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Where the bus is, like `name.servicebus.windows.net`.')
output fullyQualifiedNamespace string = replace(
  replace(namespace.properties.serviceBusEndpoint, 'https://', ''),
  ':443/',
  ''
)
@description('The namespace.')
output id string = namespace.id
