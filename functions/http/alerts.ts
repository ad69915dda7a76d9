import { alertParams, alerts } from '../../shared/domains/alerts/alerts.ts';
import { acknowledgeAlert, resolveAlert } from '../../shared/domains/alerts/settle-alert.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { resourceSchemas } from '../../shared/platform/resources/resource-schemas.ts';

const common = {
  method: 'POST',
  tag: 'alerts',
  permission: 'alerts:manage',
  params: alertParams,
} as const;

/** The routes of an alert besides those of its resource. */
export const alertsEndpoints = [
  endpoint({
    ...common,
    name: 'alerts-acknowledge',
    path: 'v1/alerts/{alert_id}/acknowledge',
    summary: 'Acknowledge an alert: somebody has seen it',
    responses: { 200: { description: 'Acknowledged.', schema: resourceSchemas(alerts).row } },
    run: (call, { params }) => acknowledgeAlert(call, params.alert_id),
  }),
  endpoint({
    ...common,
    name: 'alerts-resolve',
    path: 'v1/alerts/{alert_id}/resolve',
    summary: 'Resolve an alert',
    responses: { 200: { description: 'Resolved.', schema: resourceSchemas(alerts).row } },
    run: (call, { params }) => resolveAlert(call, params.alert_id),
  }),
];
