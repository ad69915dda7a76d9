// Production: in three zones, with second database servers, geo-redundant backups, and two instances that never stop.
// azd and `az` read the variables from the environment: see docs/deployment.md.
using 'main.bicep'

param environmentName = 'prod'
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

param addressPrefix = '10.40.16.0/21'
param highAvailability = true

// 4 cores, 16 GB: 1 718 connections. The reference's D4s_v3 in today's generation.
param postgresSkuName = 'Standard_D4ds_v5'
param postgresStorageGb = 128
param geoRedundantBackup = true
param evidenceSkuName = 'Standard_GRS'
param evidenceImmutability = readEnvironmentVariable('EVIDENCE_IMMUTABILITY', 'unlocked')
param redisSkuName = 'Balanced_B3'

param maximumInstanceCount = 12
// One in each of two zones, so that no request waits for a cold start when one is lost.
param alwaysReadyHttp = 2
param gatewayInstances = { minimum: 2, maximum: 10 }

param alertsEnabled = true
param logRetentionDays = 90
// A limit would lose the alerts' own data on the day when most happens.
param logDailyCapGb = -1
param defenderPlans = bool(readEnvironmentVariable('DEFENDER_PLANS', 'true'))
param monthlyBudget = int(readEnvironmentVariable('MONTHLY_BUDGET', '6000'))
