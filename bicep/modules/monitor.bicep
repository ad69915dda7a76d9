metadata description = 'Where everything is seen: the workspace of logs and metrics, Application Insights on it, and whom alerts reach.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string

@description('How long logs and traces are kept. The first 31 days are free; Application Insights\' tables have 90.')
@minValue(30)
@maxValue(730)
param retentionDays int
@description('The most that is taken in on a day, in GB; -1 for no limit. What is beyond it is lost, alerts on it too, so production has none.')
param dailyCapGb int = -1
@description('Where alerts go.')
@minLength(1)
param alertEmails array
@description('The app\'s identity, which sends telemetry.')
param appPrincipalId string

// Telemetry is sent over public addresses, by Entra sign-in only; a private link scope would close them, at a price for each GB and
// one scope for all workspaces of the network's DNS. No tenant content is in it: the tests of telemetry hold the attributes to a list.
resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: 'log-${namePrefix}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    workspaceCapping: { dailyQuotaGb: dailyCapGb }
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${namePrefix}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    // The connection string alone lets nobody write: it says where, not who.
    DisableLocalAuth: true
    // Addresses of clients stay masked.
    DisableIpMasking: false
  }
}

var metricsPublisher = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher
)

resource appOnInsights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, metricsPublisher, 'app')
  scope: insights
  properties: { principalId: appPrincipalId, principalType: 'ServicePrincipal', roleDefinitionId: metricsPublisher }
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${namePrefix}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'comply-ai'
    emailReceivers: [
      for (address, n) in alertEmails: {
        name: 'email-${n}'
        emailAddress: address
        useCommonAlertSchema: true
      }
    ]
  }
}

// Who asked the workspace what. Application Insights needs none: its tables are in the workspace. Action groups have none.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: workspace
  properties: {
    workspaceId: workspace.id
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('The workspace, for the diagnostic settings of everything else.')
output workspaceId string = workspace.id
@description('Application Insights, for alerts and the workbook.')
output applicationInsightsId string = insights.id
@description('The setting APPLICATIONINSIGHTS_CONNECTION_STRING. It is no secret: only the app\'s identity may write.')
output applicationInsightsConnectionString string = insights.properties.ConnectionString
@description('Whom alerts reach.')
output actionGroupId string = actionGroup.id
