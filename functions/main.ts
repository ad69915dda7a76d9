import type { Endpoint } from '../shared/platform/http/endpoint.ts';
import { resourceEndpoints } from '../shared/platform/resources/resource-endpoints.ts';
import { declaredResources } from './declared-resources.ts';
import { alertsEndpoints } from './http/alerts.ts';
import { analysesEndpoints } from './http/analyses.ts';
import { analysisMetricsEndpoints } from './http/analysis-metrics.ts';
import { apiDocsEndpoints } from './http/api-docs.ts';
import { apiKeysEndpoints } from './http/api-keys.ts';
import { asyncOrchestrationsEndpoints } from './http/async-orchestrations.ts';
import { auditLogsEndpoints } from './http/audit-logs.ts';
import { authEndpoints } from './http/auth.ts';
import { billingCheckoutEndpoints } from './http/billing-checkout.ts';
import { billingInvoicesEndpoints } from './http/billing-invoices.ts';
import { billingSubscriptionEndpoints } from './http/billing-subscription.ts';
import { billingPlansEndpoints } from './http/billing-plans.ts';
import { healthEndpoints } from './http/health.ts';
import { invitationsEndpoints } from './http/invitations.ts';
import { lineageEndpoints } from './http/lineage.ts';
import { mappingsEndpoints } from './http/mappings.ts';
import { meEndpoints } from './http/me.ts';
import { modelsEndpoints } from './http/models.ts';
import { orchestrationsEndpoints } from './http/orchestrations.ts';
import { platformBillingEventsEndpoints } from './http/platform-billing-events.ts';
import { platformJobRunEndpoints } from './http/platform-job-runs.ts';
import { platformMeterWindowsEndpoints } from './http/platform-meter-windows.ts';
import { platformMetricsEndpoints } from './http/platform-metrics.ts';
import { platformQuarantineEndpoints } from './http/platform-quarantine.ts';
import { platformTenantsEndpoints } from './http/platform-tenants.ts';
import { platformUsersEndpoints } from './http/platform-users.ts';
import { recordsEndpoints } from './http/records.ts';
import { retentionEndpoints } from './http/retention.ts';
import { rolesEndpoints } from './http/roles.ts';
import { statusEndpoints } from './http/status.ts';
import { stripeWebhookEndpoints } from './http/stripe-webhook.ts';
import { tenantConfigEndpoints } from './http/tenant-config.ts';
import { usageEndpoints } from './http/usage.ts';
import { usersEndpoints } from './http/users.ts';
import { archiveRecords } from './queue/archive-records.ts';
import { auditEvents } from './queue/audit-events.ts';
import { billingChanges } from './queue/billing-changes.ts';
import { stripeEvents } from './queue/stripe-events.ts';
import { usageEvents } from './queue/usage-events.ts';
import {
  openAtStart,
  registerConsumers,
  registerEndpoints,
  registerTelemetry,
  registerTimers,
} from './register.ts';
import { processServices } from './services.ts';
import { timers } from './timers.ts';

// The composition root: the only place that knows every function of the app. The API's document lists routes in this order.
const consumers = [archiveRecords, auditEvents, billingChanges, stripeEvents, usageEvents];
const endpoints: readonly Endpoint[] = [
  ...alertsEndpoints,
  ...analysesEndpoints,
  ...analysisMetricsEndpoints,
  ...apiDocsEndpoints(
    () => endpoints,
    () => processServices().settings.API_PUBLIC_URL,
  ),
  ...apiKeysEndpoints,
  ...auditLogsEndpoints,
  ...authEndpoints(processServices),
  ...billingSubscriptionEndpoints,
  ...billingCheckoutEndpoints,
  ...billingInvoicesEndpoints,
  ...billingPlansEndpoints(processServices),
  ...healthEndpoints(processServices),
  ...asyncOrchestrationsEndpoints,
  ...invitationsEndpoints(processServices),
  ...lineageEndpoints,
  ...mappingsEndpoints,
  ...meEndpoints,
  ...modelsEndpoints,
  ...orchestrationsEndpoints,
  ...platformBillingEventsEndpoints,
  ...platformJobRunEndpoints(timers),
  ...platformMeterWindowsEndpoints,
  ...platformMetricsEndpoints,
  ...platformQuarantineEndpoints,
  ...platformTenantsEndpoints,
  ...platformUsersEndpoints,
  ...recordsEndpoints,
  ...retentionEndpoints,
  ...rolesEndpoints,
  ...statusEndpoints(processServices),
  ...stripeWebhookEndpoints(processServices),
  ...tenantConfigEndpoints,
  ...usageEndpoints,
  ...usersEndpoints,
  ...resourceEndpoints(declaredResources),
];

openAtStart(processServices);
registerEndpoints(endpoints, processServices);
registerConsumers(consumers, processServices);
registerTimers(timers, processServices);
registerTelemetry();
