// Alerts on the app's metrics, one rule for each entry of alerts.json (`npm run alerts:write` makes it from tools/alerts/alerts.ts),
// and on the services' own metrics.

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string
@description('The workspace that the rules read.')
param logAnalyticsWorkspaceId string
@description('Whom the alerts tell.')
param actionGroupId string

@description('Where the runbooks are, for example https://github.com/<owner>/<repository>/blob/main/docs/runbooks.')
param runbookBaseUrl string

@description('The servers, each with the name that its rules end with: core, billing, analytics.')
param postgresServers { name: string, id: string }[]
@description('The gateway.')
param gatewayId string
@description('The cache.')
param redisId string
@description('The evidence account.')
param evidenceAccountId string

@description('False in environments where nobody shall be woken.')
param enabled bool

type rule = {
  name: string
  description: string
  severity: int
  windowSize: string
  evaluationFrequency: string
  runbook: string
  query: string
}

var rules rule[] = loadJsonContent('../alerts.json')

resource appAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for one in rules: {
    name: '${namePrefix}-${one.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: one.name
      description: '${one.description} Runbook: ${runbookBaseUrl}/${one.runbook}.md'
      severity: one.severity
      enabled: enabled
      scopes: [logAnalyticsWorkspaceId]
      windowSize: one.windowSize
      evaluationFrequency: one.evaluationFrequency
      criteria: {
        allOf: [
          {
            query: one.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      // The alert resolves when its query returns nothing, and nobody is told twice of the same trouble before that.
      autoMitigate: true
      checkWorkspaceAlertsStorageConfigured: false
      skipQueryValidation: false
      actions: {
        actionGroups: [actionGroupId]
        customProperties: { runbook: '${runbookBaseUrl}/${one.runbook}.md' }
      }
    }
  }
]

type serviceAlert = {
  name: string
  description: string
  severity: int
  scope: string
  suffix: string
  resourceType: string
  metric: string
  aggregation: 'Average' | 'Maximum' | 'Minimum' | 'Total'
  operator: 'GreaterThan' | 'LessThan'
  threshold: int
  runbook: string
}

// What the app cannot see by itself. A rule has one resource: rules over several are not possible for every kind of resource.
var databaseAlerts serviceAlert[] = flatten(map(postgresServers, server => [
  {
    name: 'DatabaseStorageFilling'
    description: 'More than 80 % of a database server\'s storage is used. At 95 % the server becomes read-only.'
    severity: 1
    scope: server.id
    suffix: '-${server.name}'
    resourceType: 'Microsoft.DBforPostgreSQL/flexibleServers'
    metric: 'storage_percent'
    aggregation: 'Maximum'
    operator: 'GreaterThan'
    threshold: 80
    runbook: 'database-filling'
  }
  {
    name: 'DatabaseBusy'
    description: 'A database server used more than 90 % of its processors for 15 minutes.'
    severity: 2
    scope: server.id
    suffix: '-${server.name}'
    resourceType: 'Microsoft.DBforPostgreSQL/flexibleServers'
    metric: 'cpu_percent'
    aggregation: 'Average'
    operator: 'GreaterThan'
    threshold: 90
    runbook: 'high-latency'
  }
]))

var otherAlerts serviceAlert[] = [
  {
    name: 'GatewayWithoutBackend'
    description: 'The gateway finds no healthy app behind it.'
    severity: 0
    scope: gatewayId
    suffix: ''
    resourceType: 'Microsoft.Network/applicationGateways'
    metric: 'HealthyHostCount'
    aggregation: 'Maximum'
    operator: 'LessThan'
    threshold: 1
    runbook: 'app-unreachable'
  }
  {
    name: 'RedisMemoryFull'
    description: 'Redis uses more than 90 % of its memory and begins to forget what is still valid.'
    severity: 3
    scope: redisId
    suffix: ''
    resourceType: 'Microsoft.Cache/redisEnterprise'
    metric: 'usedmemorypercentage'
    aggregation: 'Maximum'
    operator: 'GreaterThan'
    threshold: 90
    runbook: 'dependency-unavailable'
  }
  {
    name: 'EvidenceStorageUnavailable'
    description: 'Less than 99 % of the requests to the evidence account succeed.'
    severity: 1
    scope: evidenceAccountId
    suffix: ''
    resourceType: 'Microsoft.Storage/storageAccounts'
    metric: 'Availability'
    aggregation: 'Average'
    operator: 'LessThan'
    threshold: 99
    runbook: 'dependency-unavailable'
  }
]

resource serviceAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for one in concat(databaseAlerts, otherAlerts): {
    name: '${namePrefix}-${one.name}${one.suffix}'
    location: 'global'
    tags: tags
    properties: {
      description: '${one.description} Runbook: ${runbookBaseUrl}/${one.runbook}.md'
      severity: one.severity
      enabled: enabled
      scopes: [one.scope]
      windowSize: 'PT15M'
      evaluationFrequency: 'PT5M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: one.name
            metricName: one.metric
            metricNamespace: one.resourceType
            timeAggregation: one.aggregation
            operator: one.operator
            threshold: one.threshold
          }
        ]
      }
      actions: [
        { actionGroupId: actionGroupId, webHookProperties: { runbook: '${runbookBaseUrl}/${one.runbook}.md' } }
      ]
    }
  }
]

@description('The names of the rules on the app’s metrics.')
output ruleNames array = [for (one, index) in rules: appAlerts[index].name]
