// Development: the smallest of each, in one zone. The first request after a pause waits for a cold start.
// azd and `az` read the variables from the environment: see docs/deployment.md.
using 'main.bicep'

param environmentName = 'dev'
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

// Three environments side by side, and a laptop's VPN, do not overlap.
param addressPrefix = '10.40.0.0/21'
param highAvailability = false

// Burstable, 4 GB: 429 connections.
param postgresSkuName = 'Standard_B2ms'
param postgresStorageGb = 32
param geoRedundantBackup = false
param evidenceSkuName = 'Standard_LRS'
param redisSkuName = 'Balanced_B0'

param maximumInstanceCount = 1
param alwaysReadyHttp = 0
param gatewayInstances = { minimum: 0, maximum: 2 }

// Nobody is woken by an environment that people break on purpose.
param alertsEnabled = false
param logRetentionDays = 31
param logDailyCapGb = 1
param defenderPlans = bool(readEnvironmentVariable('DEFENDER_PLANS', 'false'))
param monthlyBudget = int(readEnvironmentVariable('MONTHLY_BUDGET', '1700'))
