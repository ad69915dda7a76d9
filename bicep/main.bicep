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

@description('The name of azd’s environment, which finds its resources by it. Empty without azd.')
param azdEnvironment string = ''

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

@description('Other origins whose pages may use a session’s cookie, comma-separated.')
param sessionOrigins string = ''

@description('Whether api-key-pepper-previous is in the vault: a second pepper of API keys, while one replaces the other. See docs/keys.md.')
param previousPepper bool = false

@description('The origins to which checkout and portal may send a person back, comma-separated.')
param billingReturnOrigins string = ''

@description('Who is told when something breaks, comma-separated.')
@minLength(3)
param alertEmails string

@description('Where people read the runbooks that alerts name.')
param runbookBaseUrl string

@description('Whether alerts tell anybody.')
param alertsEnabled bool

@description('What a month may cost before people are told, in the currency of the bill. See docs/deployment.md.')
@minValue(1)
param monthlyBudget int

@description('The first day of the month of the first deployment, like 2026-12-01. Azure refuses another one later. tools/deploy notes it.')
@minLength(10)
@maxLength(10)
param budgetStartDate string

@description('Whether this deployment sets the Defender plans. They are the subscription’s, so one environment of it does.')
param defenderPlans bool

@description('How long logs are kept.')
param logRetentionDays int

@description('The most logs of a day in GB; -1: no limit.')
param logDailyCapGb int

@description('A block of at least /22 for the network.')
param addressPrefix string

@description('Whether everything that can be is in several availability zones, and databases have a second server. Also locks evidence and databases against deletion.')
param highAvailability bool

@description('The size of each PostgreSQL server.')
param postgresSkuName string

@description('The disk of each PostgreSQL server.')
param postgresStorageGb int

@description('Whether backups of the databases are kept in the paired region too. Only when a server is made, and not in every region.')
param geoRedundantBackup bool

@description('Whether the links to tenants\' exports work from the internet. They expire, and each needs its signature. Otherwise only networks that are connected to this one can follow them.')
param exportsFromInternet bool = false

@description('How evidence is replicated. Only kinds with an archive tier.')
param evidenceSkuName string

@description('`unlocked` until a person has locked the immutability of evidence, which nobody can undo: docs/deployment.md.')
@allowed(['unlocked', 'locked'])
param evidenceImmutability string = 'unlocked'

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
  'azd-env-name': empty(azdEnvironment) ? namePrefix : azdEnvironment
}

// The budget of connections. The platform scales all HTTP functions as one group and each queue's function alone, and runs each
// timer on one instance. Every instance has its own pools: to each server one of requests, one that crosses tenants, and the
// connection of the health monitor. A timer holds one more for its lock. At the very worst, when all groups are at their
// maximum and all pools are full, a server has
//
//   ((1 + queues) × maximumInstanceCount + timers) × (8 + 6 + 1) + timers
//
//   dev    (7 ×  1 + 20) × 15 + 20 =   425
//   stage  (7 ×  4 + 20) × 15 + 20 =   740
//   prod   (7 × 12 + 20) × 15 + 20 = 1 580
//
// connections. It is told to accept this many, and 50 more for the service itself, migrations and people. So instances wait
// for their own pools, and never for a refused connection. tests/bicep holds the numbers to the code and to each size.
var poolMax = 8
var crossTenantPoolMax = 6
// The sender of mails consumes `notifications`, not this app.
var queueFunctions = length(filter(loadJsonContent('queues.json'), queue => queue.name != 'notifications'))
var timerFunctions = 20
var otherConnections = 50
var instances = (1 + queueFunctions) * maximumInstanceCount + timerFunctions
var maxConnections = instances * (poolMax + crossTenantPoolMax + 1) + timerFunctions + otherConnections

var emails = map(split(alertEmails, ','), email => trim(email))
var administrators = concat(
  [{ objectId: deployerPrincipalId, principalName: deployerPrincipalName, principalType: deployerPrincipalType }],
  databaseAdministrators
)

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

module monitor 'modules/monitor.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    retentionDays: logRetentionDays
    dailyCapGb: logDailyCapGb
    alertEmails: emails
    appPrincipalId: identities.outputs.appPrincipalId
  }
}

module network 'modules/network.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    addressPrefix: addressPrefix
    zoneRedundant: highAvailability
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
  }
}

// The app's secrets: the key-encryption key, the pepper of API keys, Stripe's.
module vault 'modules/key-vault.bicep' = {
  name: 'app-vault'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'kv-${environmentName}-${suffix}'
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    privateDnsZoneId: network.outputs.privateDnsZoneIds.keyVault
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
    grants: [
      {
        principalId: identities.outputs.appPrincipalId
        principalType: 'ServicePrincipal'
        roleDefinitionId: roles.keyVaultSecretsUser
      }
      {
        principalId: deployerPrincipalId
        principalType: deployerPrincipalType
        roleDefinitionId: roles.keyVaultSecretsOfficer
      }
    ]
  }
}

// The gateway's certificate. In a vault of its own: a role is for a whole vault, and the app must not read the private key.
module gatewayVault 'modules/key-vault.bicep' = {
  name: 'gateway-vault'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'kvg-${environmentName}-${suffix}'
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    privateDnsZoneId: network.outputs.privateDnsZoneIds.keyVault
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
    grants: [
      {
        principalId: identities.outputs.gatewayPrincipalId
        principalType: 'ServicePrincipal'
        roleDefinitionId: roles.keyVaultSecretsUser
      }
      {
        principalId: deployerPrincipalId
        principalType: deployerPrincipalType
        roleDefinitionId: roles.keyVaultCertificatesOfficer
      }
    ]
  }
}

// Retention belongs to a server, not to a database. So three databases with three retentions are three servers.
module core 'modules/postgres.bicep' = {
  name: 'core-database'
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    name: 'core'
    databaseName: 'comply-ai-core'
    backupRetentionDays: 7
    geoRedundantBackup: geoRedundantBackup
    highAvailability: highAvailability
    skuName: postgresSkuName
    storageSizeGb: postgresStorageGb
    maxConnections: maxConnections
    entraAdministrators: administrators
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    postgresDnsZoneId: network.outputs.privateDnsZoneIds.postgres
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
    deleteLock: highAvailability
  }
}

module billing 'modules/postgres.bicep' = {
  name: 'billing-database'
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    name: 'billing'
    databaseName: 'comply-ai-billing'
    backupRetentionDays: 30
    geoRedundantBackup: geoRedundantBackup
    highAvailability: highAvailability
    skuName: postgresSkuName
    storageSizeGb: postgresStorageGb
    maxConnections: maxConnections
    entraAdministrators: administrators
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    postgresDnsZoneId: network.outputs.privateDnsZoneIds.postgres
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
    deleteLock: highAvailability
  }
}

module analytics 'modules/postgres.bicep' = {
  name: 'analytics-database'
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    name: 'analytics'
    databaseName: 'comply-ai-analytics'
    backupRetentionDays: 7
    geoRedundantBackup: geoRedundantBackup
    highAvailability: highAvailability
    skuName: postgresSkuName
    storageSizeGb: postgresStorageGb
    maxConnections: maxConnections
    entraAdministrators: administrators
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    postgresDnsZoneId: network.outputs.privateDnsZoneIds.postgres
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
    deleteLock: highAvailability
  }
}

module redis 'modules/redis.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    skuName: redisSkuName
    highAvailability: highAvailability
    appPrincipalId: identities.outputs.appPrincipalId
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    redisDnsZoneId: network.outputs.privateDnsZoneIds.redis
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
  }
}

module bus 'modules/service-bus.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    appPrincipalId: identities.outputs.appPrincipalId
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    serviceBusDnsZoneId: network.outputs.privateDnsZoneIds.serviceBus
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    evidenceSkuName: evidenceSkuName
    hostSkuName: highAvailability ? 'Standard_ZRS' : 'Standard_LRS'
    immutability: evidenceImmutability
    deleteLock: highAvailability
    appPrincipalId: identities.outputs.appPrincipalId
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    blobDnsZoneId: network.outputs.privateDnsZoneIds.blob
    queueDnsZoneId: network.outputs.privateDnsZoneIds.queue
    tableDnsZoneId: network.outputs.privateDnsZoneIds.table
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
  }
}

module exportStorage 'modules/export-storage.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    skuName: highAvailability ? 'Standard_ZRS' : 'Standard_LRS'
    openToInternet: exportsFromInternet
    appPrincipalId: identities.outputs.appPrincipalId
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    blobDnsZoneId: network.outputs.privateDnsZoneIds.blob
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
  }
}

module backup 'modules/backup.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    evidenceContainers: storage.outputs.evidenceContainers
    geoRedundant: geoRedundantBackup
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
  }
}

var hostName = empty(apiHostName) ? network.outputs.gatewayFqdn : apiHostName
var secretReference = '@Microsoft.KeyVault(SecretUri=${vault.outputs.uri}secrets/'

// verify-full: the server's certificate is checked against its name. Node.js knows Azure's authorities.
var asApp = 'postgres://comply_app@'
var asJobs = 'postgres://comply_jobs@'
var verified = 'sslmode=verify-full'

module app 'modules/app.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    suffix: suffix
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
    applicationInsightsConnectionString: monitor.outputs.applicationInsightsConnectionString
    appSubnetId: network.outputs.appSubnetId
    privateEndpointSubnetId: network.outputs.privateEndpointSubnetId
    privateDnsZoneId: network.outputs.privateDnsZoneIds.sites
    appIdentityId: identities.outputs.appId
    appClientId: identities.outputs.appClientId
    jobsIdentityId: identities.outputs.jobsId
    hostAccountName: storage.outputs.hostAccountName
    deploymentContainerUrl: storage.outputs.deploymentContainerUrl
    serviceBusNamespace: bus.outputs.fullyQualifiedNamespace
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttp: alwaysReadyHttp
    zoneRedundant: highAvailability
    settings: union(
      {
        DEPLOYMENT_ENVIRONMENT: environmentName
        CORE_DATABASE_URL: '${asApp}${core.outputs.fqdn}:5432/comply-ai-core?${verified}'
        BILLING_DATABASE_URL: '${asApp}${billing.outputs.fqdn}:5432/comply-ai-billing?${verified}'
        ANALYTICS_DATABASE_URL: '${asApp}${analytics.outputs.fqdn}:5432/comply-ai-analytics?${verified}'
        CORE_CROSS_TENANT_DATABASE_URL: '${asJobs}${core.outputs.fqdn}:5432/comply-ai-core?${verified}'
        BILLING_CROSS_TENANT_DATABASE_URL: '${asJobs}${billing.outputs.fqdn}:5432/comply-ai-billing?${verified}'
        ANALYTICS_CROSS_TENANT_DATABASE_URL: '${asJobs}${analytics.outputs.fqdn}:5432/comply-ai-analytics?${verified}'
        DATABASE_AUTH: 'entra'
        DATABASE_CROSS_TENANT_CLIENT_ID: identities.outputs.jobsClientId
        DATABASE_POOL_MAX: string(poolMax)
        DATABASE_CROSS_TENANT_POOL_MAX: string(crossTenantPoolMax)
        // No PgBouncer is between.
        DATABASE_PREPARE: 'true'
        API_PUBLIC_URL: 'https://${hostName}'
        BLOB_CONNECTION__blobServiceUri: storage.outputs.evidenceBlobUri
        // The user is the identity's object id, and its tokens are the password.
        REDIS_URL: 'rediss://${identities.outputs.appPrincipalId}@${redis.outputs.hostName}:${redis.outputs.port}'
        REDIS_AUTH: 'entra'
        // Nobody else uses this Redis.
        REDIS_KEY_PREFIX: ''
        API_KEY_PEPPER: '${secretReference}api-key-pepper)'
        KEY_VAULT_URL: vault.outputs.uri
        KEY_ENCRYPTION_SECRET_NAME: 'key-encryption-key'
        SESSION_IDLE_MINUTES: '30'
        SESSION_HOURS: '12'
        SESSION_ORIGINS: sessionOrigins
        BILLING_RETURN_ORIGINS: billingReturnOrigins
        BILLING_GRACE_DAYS: '14'
        OFFBOARDING_DAYS: '30'
        EXPORT_KEEP_DAYS: '7'
        EXPORT_BLOB_URL: exportStorage.outputs.exportBlobUri
        WEBHOOKS_PORTS: '443'
        INVOICE_RETENTION_YEARS: '10'
        AZURE_REGION: location
        AZURE_RESOURCE_GROUP: group.name
        AZURE_SUBSCRIPTION_ID: subscription().subscriptionId
      },
      // A reference to a missing secret would reach the app as text, and it would refuse to start.
      stripeConfigured
        ? {
            STRIPE_SECRET_KEY: '${secretReference}stripe-secret-key)'
            STRIPE_WEBHOOK_SECRETS: '${secretReference}stripe-webhook-secrets)'
          }
        : {},
      previousPepper
        ? {
            API_KEY_PEPPER_PREVIOUS: '${secretReference}api-key-pepper-previous)'
          }
        : {}
    )
  }
}

module gateway 'modules/gateway.bicep' = if (!empty(gatewayCertificate)) {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
    subnetId: network.outputs.gatewaySubnetId
    publicAddressId: network.outputs.gatewayAddressId
    identityId: identities.outputs.gatewayId
    certificateVaultUri: gatewayVault.outputs.uri
    certificateName: gatewayCertificate
    appHostName: app.outputs.hostName
    minimumInstances: gatewayInstances.minimum
    maximumInstances: gatewayInstances.maximum
    zoneRedundant: highAvailability
  }
}

// With the gateway, which one of them watches: nothing answers before.
module alerts 'modules/alerts.bicep' = if (!empty(gatewayCertificate)) {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
    actionGroupId: monitor.outputs.actionGroupId
    runbookBaseUrl: runbookBaseUrl
    postgresServers: [
      { name: 'core', id: core.outputs.id }
      { name: 'billing', id: billing.outputs.id }
      { name: 'analytics', id: analytics.outputs.id }
    ]
    gatewayId: gateway.?outputs.id ?? ''
    redisId: redis.outputs.id
    evidenceAccountId: storage.outputs.evidenceAccountId
    enabled: alertsEnabled
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    namePrefix: namePrefix
    logAnalyticsWorkspaceId: monitor.outputs.workspaceId
  }
}

module activityLog 'modules/activity-log.bicep' = {
  params: { namePrefix: namePrefix, logAnalyticsWorkspaceId: monitor.outputs.workspaceId }
}

module budget 'modules/budget.bicep' = {
  params: {
    namePrefix: namePrefix
    resourceGroupName: group.name
    amount: monthlyBudget
    startDate: budgetStartDate
    alertEmails: emails
    actionGroupId: monitor.outputs.actionGroupId
  }
}

module defender 'modules/defender.bicep' = if (defenderPlans) {
  params: { securityEmails: emails }
}

// No container registry: nothing runs from an image. The app's package is a zip in the host's storage account.

// azd keeps these in its environment, where tools/deploy reads them. No secret is among them.
@description('The environment.')
output DEPLOYMENT_ENVIRONMENT string = environmentName

@description('The resource group of everything.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The Function App.')
output APP_NAME string = app.outputs.name

@description('Where clients reach the API.')
output API_URL string = 'https://${hostName}'

@description('The name for which the gateway’s certificate must be.')
output API_HOST string = hostName

@description('The server of the core database.')
output CORE_SERVER string = core.outputs.serverName

@description('Where it is.')
output CORE_HOST string = core.outputs.fqdn

@description('The server of the billing database.')
output BILLING_SERVER string = billing.outputs.serverName

@description('Where it is.')
output BILLING_HOST string = billing.outputs.fqdn

@description('The server of the analytics database.')
output ANALYTICS_SERVER string = analytics.outputs.serverName

@description('Where it is.')
output ANALYTICS_HOST string = analytics.outputs.fqdn

@description('The object id of comply_app’s identity.')
output APP_PRINCIPAL_ID string = identities.outputs.appPrincipalId

@description('The object id of comply_jobs’ identity.')
output JOBS_PRINCIPAL_ID string = identities.outputs.jobsPrincipalId

@description('The vault of the app’s secrets.')
output APP_VAULT string = vault.outputs.name

@description('Its address.')
output APP_VAULT_URL string = vault.outputs.uri

@description('The vault of the gateway’s certificate.')
output GATEWAY_VAULT string = gatewayVault.outputs.name

@description('Its address.')
output GATEWAY_VAULT_URL string = gatewayVault.outputs.uri

@description('The Service Bus namespace.')
output SERVICE_BUS_NAMESPACE string = bus.outputs.fullyQualifiedNamespace

@description('The evidence account.')
output EVIDENCE_BLOB_URI string = storage.outputs.evidenceBlobUri

@description('The address from which Stripe sees the app’s requests.')
output OUTBOUND_ADDRESS string = network.outputs.outboundAddress
