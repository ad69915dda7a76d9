metadata description = 'A monthly budget for one environment\'s resource group. It tells people; it stops nothing.'

targetScope = 'subscription'

@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string
@description('The resource group whose costs count.')
param resourceGroupName string
@description('The amount a month, in the currency of the subscription\'s bill.')
@minValue(1)
param amount int
@description('The first day of the month in which the budget began, like `2026-12-01`. It must be the current month when the budget is made, and the same ever after: Azure refuses to change it.')
@minLength(10)
@maxLength(10)
param startDate string
@description('Whom it tells.')
@minLength(1)
param alertEmails array
@description('The action group that it tells too.')
param actionGroupId string

var told = { enabled: true, contactEmails: alertEmails, contactGroups: [actionGroupId], locale: 'en-us' }

// A budget has at most five notifications: three of what was spent, two of where the month is going.
resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: 'budget-${namePrefix}'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: startDate }
    filter: { dimensions: { name: 'ResourceGroupName', operator: 'In', values: [resourceGroupName] } }
    notifications: {
      actual50: union(told, { operator: 'GreaterThanOrEqualTo', threshold: 50, thresholdType: 'Actual' })
      actual80: union(told, { operator: 'GreaterThanOrEqualTo', threshold: 80, thresholdType: 'Actual' })
      actual100: union(told, { operator: 'GreaterThanOrEqualTo', threshold: 100, thresholdType: 'Actual' })
      forecast80: union(told, { operator: 'GreaterThanOrEqualTo', threshold: 80, thresholdType: 'Forecasted' })
      forecast100: union(told, { operator: 'GreaterThanOrEqualTo', threshold: 100, thresholdType: 'Forecasted' })
    }
  }
}
