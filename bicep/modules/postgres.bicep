metadata description = 'One PostgreSQL flexible server for one database. Called once for each database, because the retention of backups belongs to the server.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string
@description('Makes names unique in the world.')
param suffix string
@description('What the server is for: the middle of its name.')
@allowed(['core', 'billing', 'analytics'])
param name string
@description('The database on it. The migrator makes it (`npm run migrate`), so that comply_owner owns it from the start; here it is a tag.')
param databaseName string

@description('How many days back the server can be restored. The service allows 7 to 35, for the whole server.')
@minValue(7)
@maxValue(35)
param backupRetentionDays int
@description('Whether backups are also kept in the paired region. It can be chosen only when the server is made, and not every region has it.')
param geoRedundantBackup bool = true
@description('Whether a second server in another zone takes over. Burstable sizes cannot.')
param highAvailability bool
@description('The size, like `Standard_D4ds_v5`. Names that begin with `Standard_B` are burstable, with `Standard_E` memory optimized.')
param skuName string
@description('The disk. It grows by itself, and never shrinks.')
param storageSizeGb int

@description('The most connections. main.bicep makes it from the pools of all instances that there can be. The service\'s own limit follows from the memory: 429 with 4 GB, 859 with 8, 1718 with 16. An idle connection takes some MB.')
@minValue(50)
@maxValue(5000)
param maxConnections int
@description('Whether the service\'s PgBouncer listens on port 6432. Not on burstable sizes.')
param pgBouncer bool = false

@description('Who administers the server: `{ objectId, principalName, principalType }` each. There is no password, so without one nobody can sign in.')
@minLength(1)
param entraAdministrators array

@description('The subnet of private endpoints.')
param privateEndpointSubnetId string
@description('The zone privatelink.postgres.database.azure.com.')
param postgresDnsZoneId string
@description('Where logs and metrics go.')
param logAnalyticsWorkspaceId string
@description('Whether the server can be deleted only after its lock is.')
param deleteLock bool = false

var tier = startsWith(skuName, 'Standard_B')
  ? 'Burstable'
  : startsWith(skuName, 'Standard_E') ? 'MemoryOptimized' : 'GeneralPurpose'

// The reference's settings, as far as they are the customer's here and say more than the service does by itself.
// Left out, because the service derives them from the size's memory, and the reference's values are those of a small machine:
// - shared_buffers = 256MB: the service gives a quarter of the memory (4 GB of 16).
// - effective_cache_size = 1GB: likewise three quarters.
// - maintenance_work_mem = 64MB: likewise, more than that on every size from 2 cores on.
// - wal_buffers = 16MB: follows from shared_buffers; it is 16 MB from 512 MB on.
// Left out, because they are PostgreSQL 18's defaults: checkpoint_completion_target = 0.9, default_statistics_target = 100.
var performance = [
  { name: 'max_connections', value: string(maxConnections) }
  // Already loaded by the service. Named, so that nobody removes it.
  { name: 'shared_preload_libraries', value: 'pg_stat_statements' }
  { name: 'pg_stat_statements.track', value: 'all' }
  { name: 'track_activity_query_size', value: '2048' }
]

var security = [
  { name: 'require_secure_transport', value: 'on' }
  // The app (Node 22), the migrator and psql since 12 speak it.
  { name: 'ssl_min_protocol_version', value: 'TLSv1.3' }
  // The migrations create no extension; `tests/bicep` holds this list to them. This one shows the statements to people.
  { name: 'azure.extensions', value: 'PG_STAT_STATEMENTS' }
]

var logging = [
  { name: 'log_min_duration_statement', value: '1000' }
  { name: 'log_connections', value: 'on' }
  { name: 'log_disconnections', value: 'on' }
  { name: 'log_lock_waits', value: 'on' }
  { name: 'log_checkpoints', value: 'on' }
  { name: 'log_statement', value: 'ddl' }
  // Tenants' content never goes into a log: no parameters of statements, and no DETAIL, which quotes the refused row.
  { name: 'log_parameter_max_length', value: '0' }
  { name: 'log_parameter_max_length_on_error', value: '0' }
  { name: 'log_error_verbosity', value: 'terse' }
  // Metrics of each database (deadlocks, dead rows, sessions) for alerts.
  { name: 'metrics.collector_database_activity', value: 'on' }
]

// Off unless asked for. The app pools its connections itself, sends up to eight statements at once on one, and prepares them by
// name. PgBouncer would add a hop, restarts with the server, and pays only when the instances together need more connections than
// max_connections allows. It must know prepared statements then: its default, 0, makes every one of them fail in transaction mode.
// Migrations use port 5432 in any case.
var pooling = pgBouncer
  ? [
      { name: 'pgbouncer.enabled', value: 'true' }
      { name: 'pgbouncer.pool_mode', value: 'transaction' }
      { name: 'pgbouncer.max_prepared_statements', value: '200' }
      { name: 'pgbouncer.default_pool_size', value: '50' }
    ]
  : []

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2025-08-01' = {
  name: 'psql-${namePrefix}-${name}-${suffix}'
  location: location
  tags: union(tags, { database: databaseName })
  sku: { name: skuName, tier: tier }
  properties: {
    createMode: 'Default'
    version: '18'
    storage: { storageSizeGB: storageSizeGb, autoGrow: 'Enabled' }
    backup: {
      backupRetentionDays: backupRetentionDays
      geoRedundantBackup: geoRedundantBackup ? 'Enabled' : 'Disabled'
    }
    highAvailability: { mode: highAvailability ? 'ZoneRedundant' : 'Disabled' }
    authConfig: {
      activeDirectoryAuth: 'Enabled'
      passwordAuth: 'Disabled'
      tenantId: tenant().tenantId
    }
    network: { publicNetworkAccess: 'Disabled' }
    // Sunday night. With a second server, a minor update is a failover of about a minute.
    maintenanceWindow: { customWindow: 'Enabled', dayOfWeek: 0, startHour: 3, startMinute: 0 }
  }
}

// The service refuses a second change while one runs: everything below is one after the other.
@batchSize(1)
resource parameters 'Microsoft.DBforPostgreSQL/flexibleServers/configurations@2025-08-01' = [
  for parameter in concat(security, performance, logging, pooling): {
    parent: server
    name: parameter.name
    properties: { value: parameter.value, source: 'user-override' }
  }
]

@batchSize(1)
resource administrators 'Microsoft.DBforPostgreSQL/flexibleServers/administrators@2025-08-01' = [
  for administrator in entraAdministrators: {
    parent: server
    name: administrator.objectId
    dependsOn: [parameters]
    properties: {
      principalName: administrator.principalName
      principalType: administrator.principalType
      tenantId: tenant().tenantId
    }
  }
]

module endpoint 'private-endpoint.bicep' = {
  name: '${name}-endpoint'
  dependsOn: [administrators]
  params: {
    location: location
    tags: tags
    name: server.name
    resourceId: server.id
    groupId: 'postgresqlServer'
    dnsZoneId: postgresDnsZoneId
    subnetId: privateEndpointSubnetId
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: server
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  name: 'keep'
  scope: server
  properties: {
    level: 'CanNotDelete'
    notes: 'Evidence and accounts of customers. A deleted server takes its backups with it after some days.'
  }
}

@description('Where the server is.')
output fqdn string = server.properties.fullyQualifiedDomainName
@description('The port of the app: PgBouncer\'s if it is on. Migrations use 5432.')
output port int = pgBouncer ? 6432 : 5432
@description('The server.')
output id string = server.id
@description('The server\'s name.')
output serverName string = server.name
