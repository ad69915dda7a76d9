import { ALERTS } from './alerts.ts';
import { kqlOf } from './kql.ts';

/** What `bicep/alerts.json` contains: the alerts as `bicep/modules/alerts.bicep` reads them. */
export function alertRules(): object[] {
  return ALERTS.map((alert) => ({
    name: alert.name,
    description: alert.description,
    severity: alert.severity,
    windowSize: alert.windowMinutes === 60 ? 'PT1H' : `PT${alert.windowMinutes}M`,
    // A more frequent rule costs several times as much, and the windows are five minutes or longer.
    evaluationFrequency: 'PT5M',
    runbook: alert.runbook,
    query: kqlOf(alert),
  }));
}
