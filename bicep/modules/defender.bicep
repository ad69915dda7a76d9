metadata description = 'Microsoft Defender for Cloud: which plans, and whom it tells. They hold for the whole subscription, so one environment a subscription sets them.'

targetScope = 'subscription'

@description('Whom Defender tells.')
@minLength(1)
param securityEmails array

// What each plan sees here, and why others are not bought:
// - StorageAccounts: unusual access to evidence. Without malware scanning: what is stored is JSON that this app wrote, with sealed
//   sources, and every scanned GB costs. Without discovery of sensitive data: sealed sources show it nothing.
// - OpenSourceRelationalDatabases: attacks on the three servers.
// - KeyVaults: unusual use of the key-encryption key.
// - Arm: unusual changes of resources.
// Not: Servers and Containers (there are none), AppServices (it does not cover Functions on Flex Consumption), Api (it needs API
// Management), CloudPosture (the free recommendations cover these resources; it is charged for each).
var plans = [
  {
    name: 'StorageAccounts'
    subPlan: 'DefenderForStorageV2'
    extensions: [
      { name: 'OnUploadMalwareScanning', isEnabled: 'False' }
      { name: 'SensitiveDataDiscovery', isEnabled: 'False' }
    ]
  }
  { name: 'OpenSourceRelationalDatabases', subPlan: null, extensions: [] }
  { name: 'KeyVaults', subPlan: 'PerKeyVault', extensions: [] }
  { name: 'Arm', subPlan: 'PerSubscription', extensions: [] }
]

// The service refuses two changes at once.
@batchSize(1)
resource pricing 'Microsoft.Security/pricings@2024-01-01' = [
  for plan in plans: {
    name: plan.name
    properties: union(
      { pricingTier: 'Standard' },
      plan.subPlan == null ? {} : { subPlan: plan.subPlan },
      empty(plan.extensions) ? {} : { extensions: plan.extensions }
    )
  }
]

resource contacts 'Microsoft.Security/securityContacts@2023-12-01-preview' = {
  name: 'default'
  dependsOn: [pricing]
  properties: {
    isEnabled: true
    emails: join(securityEmails, ';')
    notificationsByRole: { state: 'On', roles: ['Owner'] }
    notificationsSources: [
      { sourceType: 'Alert', minimalSeverity: 'Medium' }
      { sourceType: 'AttackPath', minimalRiskLevel: 'High' }
    ]
  }
}
