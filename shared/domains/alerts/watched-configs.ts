import { inBatch } from '../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

/** Configurations, or open alerts, of one step of the evaluator. */
export const ALERT_BATCH = 100;

/** Where a walk over all tenants stands. */
export interface WalkedTo {
  readonly tenant_id: string;
  readonly config_id: string;
}
const START: WalkedTo = { tenant_id: '', config_id: '00000000-0000-0000-0000-000000000000' };

/** An active configuration, as the evaluator reads it. */
export interface WatchedConfig {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly config_id: string;
  readonly version: number;
  /** As it is stored: an older build may have written it. */
  readonly condition: unknown;
  readonly cooldown_minutes: number;
  readonly last_ended_at: string | null;
  /** Its open alert. */
  readonly alert_id: string | null;
}

/** The next active configurations of all tenants, in the order of their keys. */
export function nextConfigs(
  analytics: CrossTenantDatabase,
  after: WalkedTo = START,
): Promise<WatchedConfig[]> {
  return inBatch(analytics, (transaction) =>
    transaction.query<WatchedConfig>(
      `select c.*, h.alert_id
         from (select tenant_id, config_id, version, condition, cooldown_minutes, last_ended_at from alert_configs
                where is_active and (tenant_id, config_id) > ($1, $2::uuid)
                order by tenant_id, config_id limit ${ALERT_BATCH}) c
         left join lateral (
           select h.alert_id from alert_history h
            where h.tenant_id = c.tenant_id and h.config_id = c.config_id and h.status <> 'resolved') h on true
        order by c.tenant_id, c.config_id`,
      [after.tenant_id, after.config_id],
    ),
  );
}

/** An open alert, with what became of its configuration. */
export interface OpenAlert {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly config_id: string;
  readonly alert_id: string;
  readonly config: 'active' | 'inactive' | 'deleted';
}

/** The next open alerts of all tenants, in the order of their configurations' keys. */
export function nextOpenAlerts(
  analytics: CrossTenantDatabase,
  after: WalkedTo = START,
): Promise<OpenAlert[]> {
  return inBatch(analytics, (transaction) =>
    transaction.query<OpenAlert>(
      `select h.*, case when c.is_active then 'active' when c.is_active is null then 'deleted' else 'inactive' end as config
         from (select tenant_id, config_id, alert_id from alert_history
                where status <> 'resolved' and (tenant_id, config_id) > ($1, $2::uuid)
                order by tenant_id, config_id limit ${ALERT_BATCH}) h
         left join lateral (
           select c.is_active from alert_configs c where c.tenant_id = h.tenant_id and c.config_id = h.config_id) c on true
        order by h.tenant_id, h.config_id`,
      [after.tenant_id, after.config_id],
    ),
  );
}
