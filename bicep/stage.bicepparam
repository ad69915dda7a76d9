// Staging: production's shape in one zone, and half its size. For load tests and rehearsals.
// azd and `az` read the variables from the environment: see docs/deployment.md.
using 'main.bicep'

param environmentName = 'stage'
param location = readEnvironmentVariable('AZURE_LOCATION')
param workload = readEnvironmentVariable('WORKLOAD', 'comply-ai')
param azdEnvironment = readEnvironmentVariable('AZURE_ENV_NAME', '')
param deployerPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID')
param deployerPrincipalName = readEnvironmentVariable('AZURE_PRINCIPAL_NAME')
param deployerPrincipalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
param apiHostName = readEnvironmentVariable('API_HOST_NAME', '')
param gatewayCertificate = readEnvironmentVariable('GATEWAY_CERTIFICATE', '')
param stripeConfigured = bool(readEnvironmentVariable('STRIPE_CONFIGURED', 'false'))
param sessionOrigins = readEnvironmentVariable('SESSION_ORIGINS', '')
param previousPepper = bool(readEnvironmentVariable('API_KEY_PEPPER_OVERLAP', 'false'))
param billingReturnOrigins = readEnvironmentVariable('BILLING_RETURN_ORIGINS', '')
param alertEmails = readEnvironmentVariable('ALERT_EMAILS')
// The folder in this repository, unless it is said where people can read it.
param runbookBaseUrl = readEnvironmentVariable('RUNBOOK_BASE_URL', 'docs/runbooks')
param budgetStartDate = readEnvironmentVariable('BUDGET_START_DATE')

param addressPrefix = '10.40.8.0/21'
param highAvailability = false

// 2 cores, 8 GB: 859 connections.
param postgresSkuName = 'Standard_D2ds_v5'
param postgresStorageGb = 64
param geoRedundantBackup = true
param evidenceSkuName = 'Standard_GRS'
param redisSkuName = 'Balanced_B1'

param maximumInstanceCount = 4
param alwaysReadyHttp = 1
param gatewayInstances = { minimum: 1, maximum: 4 }

param alertsEnabled = true
param logRetentionDays = 31
param logDailyCapGb = 5
param defenderPlans = bool(readEnvironmentVariable('DEFENDER_PLANS', 'false'))
param monthlyBudget = int(readEnvironmentVariable('MONTHLY_BUDGET', '2500'))
