import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import { noSuch, presentRow, type ShownRow } from '../../platform/resources/read-resource.ts';
import type { ResourceRow } from '../../platform/resources/resource.ts';
import { selectList } from '../../platform/resources/resource-sql.ts';
import { performWrite, type Effect } from '../../platform/writes/perform-write.ts';
import { resolvedEvent, TOLD_COLUMNS, type ToldResolved } from './alert-events.ts';
import { alerts } from './alerts.ts';

/** The write of an alert goes to its own database. A used-up allowance must not stop it: the alert may be about that. */
const WRITE = { database: 'analytics', beyondQuota: true } as const;

/**
 * A person has seen the alert. Of two at once, one does.
 * @throws Problem 404; 409 if it is acknowledged or resolved already.
 */
export function acknowledgeAlert(call: Call, alertId: string): Promise<Reply<200, ShownRow>> {
  return performWrite(
    call,
    async (transaction) => {
      const status = await lockAlert(transaction, alertId);
      if (status !== 'triggered') throw notNow(status);
      const [row] = await transaction.query<ResourceRow>(
        `update alert_history t set status = 'acknowledged', acknowledged_at = $3, acknowledged_by = $4
          where t.tenant_id = $1 and t.alert_id = $2 returning ${selectList(alerts)}`,
        [transaction.tenantId, alertId, call.now, call.principal.actor],
      );
      return effectOf(row, 'alert.acknowledged', alertId);
    },
    WRITE,
  );
}

/**
 * A person ends the alert. None is raised for the configuration's cool-down, also if the condition still holds.
 * @throws Problem 404; 409 if it is resolved already.
 */
export function resolveAlert(call: Call, alertId: string): Promise<Reply<200, ShownRow>> {
  return performWrite(
    call,
    async (transaction) => {
      const own = [transaction.tenantId, alertId];
      // The configuration first, in the order of the evaluator's locks.
      await transaction.query(
        `select from alert_configs c where c.tenant_id = $1
            and c.config_id = (select h.config_id from alert_history h where h.tenant_id = $1 and h.alert_id = $2) for update`,
        own,
      );
      const status = await lockAlert(transaction, alertId);
      if (status === 'resolved') throw notNow(status);
      const [row] = await transaction.query<ResourceRow>(
        `update alert_history t set status = 'resolved', resolved_at = greatest($3::timestamptz, t.triggered_at), resolved_by = $4,
                resolution = 'by_person'
          where t.tenant_id = $1 and t.alert_id = $2 returning ${selectList(alerts)}`,
        [...own, call.now, call.principal.actor],
      );
      await transaction.query(
        `update alert_configs c set last_ended_at = $3 from alert_history h
          where h.tenant_id = $1 and h.alert_id = $2 and c.tenant_id = h.tenant_id and c.config_id = h.config_id`,
        [...own, call.now],
      );
      const [resolved] = await transaction.query<ToldResolved>(
        `select ${TOLD_COLUMNS}, h.resolved_at, h.resolution from alert_history h where h.tenant_id = $1 and h.alert_id = $2`,
        own,
      );
      if (resolved === undefined) throw new Error('a locked alert is missing');
      return {
        ...effectOf(row, 'alert.resolved', alertId),
        events: [resolvedEvent(resolved, call.now)],
      };
    },
    WRITE,
  );
}

/** Locks an alert, and returns its status. */
async function lockAlert(transaction: TenantTransaction, alertId: string): Promise<string> {
  const [row] = await transaction.query<{ status: string }>(
    `select status from alert_history where tenant_id = $1 and alert_id = $2 for update`,
    [transaction.tenantId, alertId],
  );
  if (row === undefined) throw noSuch(alerts);
  return row.status;
}

function notNow(status: string): Problem {
  return new Problem('CONFLICT', { detail: `The alert is ${status} already.` });
}

function effectOf(
  row: ResourceRow | undefined,
  action: string,
  alertId: string,
): Effect<Reply<200, ShownRow>> {
  if (row === undefined) throw new Error('a locked alert is missing');
  return {
    reply: ok(presentRow(row)),
    audit: {
      action,
      resource_type: 'alert',
      resource_id: alertId,
      details: { config_id: row['config_id'], severity: row['severity'] },
    },
  };
}
