// Everything that the backend needs in one region: `azd up`, or
//   az deployment sub create --location <region> --template-file bicep/main.bicep --parameters bicep/dev.bicepparam

targetScope = 'subscription'

@description('Which environment this is. The app knows it as DEPLOYMENT_ENVIRONMENT.')
@allowed(['dev', 'stage', 'prod'])
param environmentName string

@description('The region of everything.')
@metadata({ azd: { type: 'location' } })
param location string

@description('The start of every name. Two installations in one subscription differ in it.')
@minLength(2)
@maxLength(12)
param workload string = 'comply-ai'

@description('The object id of who deploys: administers the databases and sets the vaults’ secrets.')
@minLength(36)
@maxLength(36)
param deployerPrincipalId string

@description('Their name in Entra: a person’s user principal name, or an application’s display name.')
@minLength(1)
param deployerPrincipalName string

@description('What they are.')
@allowed(['User', 'ServicePrincipal', 'Group'])
param deployerPrincipalType string

@description('More administrators of the databases: `{ objectId, principalName, principalType }` each.')
param databaseAdministrators array = []

@description('The API’s own domain. Empty: the name of the gateway’s address, with which only a self-signed certificate is possible.')
param apiHostName string = ''

@description('The name of the gateway’s certificate in its vault. Empty until there is one: the gateway cannot exist without. See tools/deploy.')
param gatewayCertificate string = ''

@description('Whether STRIPE-SECRET-KEY and STRIPE-WEBHOOK-SECRETS are in the vault. Until then, routes that need Stripe answer 503.')
param stripeConfigured bool = false

@description('The origins to which checkout and portal may send a person back, comma-separated.')
param billingReturnOrigins string = ''

@description('Who is told when something breaks.')
param alertEmail string

@description('A block of at least /22 for the network.')
param addressPrefix string

@description('Whether everything that can be is in several availability zones, and databases have a second server. Also locks evidence and databases against deletion.')
param highAvailability bool

@description('The size of each PostgreSQL server.')
param postgresSkuName string

@description('The disk of each PostgreSQL server.')
param postgresStorageGb int

@description('The size of Redis.')
param redisSkuName string

@description('The most instances of each function that scales alone, and of all HTTP functions together. Multiplies into the connections below.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int

@description('Instances for HTTP that never stop.')
param alwaysReadyHttp int

@description('The gateway’s fewest and most instances.')
param gatewayInstances { minimum: int, maximum: int }

var namePrefix = '${workload}-${environmentName}'
var suffix = uniqueString(subscription().id, namePrefix, location)
var tags = {
  workload: workload
  environment: environmentName
  // How azd finds what it made.
  'azd-env-name': namePrefix
}

// The budget of connections. The platform scales all HTTP functions as one group, each queue's function alone, and runs each
// timer on one instance. Every instance has its own pools: for each database one of requests, one that crosses tenants, and
// the connection of the health monitor. At the very worst, when all groups are at their maximum and all pools are full:
//
//   ((1 + queues) × maximumInstanceCount + timers) × (8 + 6 + 1)
//
//   dev    (6 ×  2 + 11) × 15 =   345
//   stage  (6 ×  7 + 11) × 15 =   795
//   prod   (6 × 16 + 11) × 15 = 1 605
//
// The server is told to accept this many, and 50 more for the service itself, migrations and people. So instances wait for
// their own pools, and never for a refused connection. tests/bicep holds the numbers to the code and to each size's memory.
var poolMax = 8
var crossTenantPoolMax = 6
var healthMonitors = 1
var queueFunctions = length(loadJsonContent('queues.json'))
var timerFunctions = 11
var otherConnections = 50
var maxConnections = ((1 + queueFunctions) * maximumInstanceCount + timerFunctions) * (poolMax + crossTenantPoolMax + healthMonitors) + otherConnections

var deployer = {
  objectId: deployerPrincipalId
  principalName: deployerPrincipalName
  principalType: deployerPrincipalType
}

// Retention belongs to a server. So three databases with three retentions are three servers.
var databases = {
  core: { name: 'comply-ai-core', backupRetentionDays: 7 }
  billing: { name: 'comply-ai-billing', backupRetentionDays: 30 }
  analytics: { name: 'comply-ai-analytics', backupRetentionDays: 7 }
}

var roles = {
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  keyVaultSecretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  keyVaultCertificatesOfficer: 'a4417e6f-fecd-4de8-b567-7b0420556985'
}

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: 'rg-${namePrefix}'
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  scope: group
  params: { location: location, tags: tags, namePrefix: namePrefix }
}
