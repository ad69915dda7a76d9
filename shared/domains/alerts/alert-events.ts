import {
  ALERT_RESOLVED,
  ALERT_TRIGGERED,
  newEvent,
  type AlertResolvedData,
  type AlertTriggeredData,
  type CloudEvent,
} from '../../platform/bus/events.ts';

/** An alert's row, as its events tell of it. */
export interface ToldAlert {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly alert_id: string;
  readonly config_id: string;
  readonly condition_type: string;
  readonly severity: string;
  readonly measured_value: number;
  readonly threshold: number;
  readonly triggered_at: string;
}

/** An alert that is over. */
export interface ToldResolved extends ToldAlert {
  readonly resolved_at: string;
  readonly resolution: AlertResolvedData['resolution'];
}

/** The columns of a {@link ToldAlert}, of `alert_history` as `h`. */
export const TOLD_COLUMNS = `h.tenant_id, h.alert_id, h.config_id, h.condition ->> 'type' as condition_type, h.severity,
  h.measured_value, (h.condition ->> 'threshold')::float8 as threshold, h.triggered_at`;

/** Names are left out: a tenant chose them, and an event is not the place for its words. */
function told(alert: ToldAlert): AlertTriggeredData {
  return {
    tenant_id: alert.tenant_id,
    alert_id: alert.alert_id,
    config_id: alert.config_id,
    condition_type: alert.condition_type,
    severity: alert.severity,
    measured_value: alert.measured_value,
    threshold: alert.threshold,
    triggered_at: new Date(alert.triggered_at).toISOString(),
  };
}

/** An alert was raised. */
export function triggeredEvent(alert: ToldAlert, now: Date): CloudEvent<AlertTriggeredData> {
  return newEvent(ALERT_TRIGGERED, told(alert), now);
}

/** An alert is over. */
export function resolvedEvent(alert: ToldResolved, now: Date): CloudEvent<AlertResolvedData> {
  const data = {
    ...told(alert),
    resolved_at: new Date(alert.resolved_at).toISOString(),
    resolution: alert.resolution,
  };
  return newEvent(ALERT_RESOLVED, data, now);
}
