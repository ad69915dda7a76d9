metadata description = 'Sends the subscription\'s activity log to the workspace: who changed, locked or deleted which resource.'

targetScope = 'subscription'

@description('The start of every name, like `comply-ai-dev`. A subscription has at most five such settings.')
param namePrefix string
@description('Where the log goes.')
param logAnalyticsWorkspaceId string

resource activityLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'activity-${namePrefix}'
  properties: {
    workspaceId: logAnalyticsWorkspaceId
    // The activity log has no category groups.
    logs: [
      for category in [
        'Administrative'
        'Security'
        'ServiceHealth'
        'Alert'
        'Recommendation'
        'Policy'
        'Autoscale'
        'ResourceHealth'
      ]: { category: category, enabled: true }
    ]
  }
}
