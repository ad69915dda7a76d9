import type { OutboxEntry } from '../../platform/call/call.ts';
import { inBatch } from '../../platform/db/batch-transaction.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import { addToOutbox, newEntries } from '../../platform/writes/outbox.ts';
import {
  resolvedEvent,
  TOLD_COLUMNS,
  triggeredEvent,
  type ToldAlert,
  type ToldResolved,
} from './alert-events.ts';

/** An alert to raise, of the configuration as it was read. */
export interface Raised {
  readonly tenant_id: string;
  readonly config_id: string;
  readonly version: number;
  readonly alert_id: string;
  readonly measured_value: number;
  readonly sample_count: number | null;
}

/** An alert to end. `version`: of the configuration whose condition no longer holds; null if it is gone or inactive. */
export interface Ended {
  readonly tenant_id: string;
  readonly config_id: string;
  readonly alert_id: string;
  readonly version: number | null;
  readonly resolution: 'recovered' | 'config_deleted' | 'config_inactive';
}

/** What became of a batch. */
export interface Settled {
  readonly triggered: number;
  readonly resolved: number;
  /** Entries of the outbox, which are committed. */
  readonly entries: readonly OutboxEntry[];
}

const KEYS = recordset({ tenant_id: 'text', config_id: 'uuid' });
const RAISED = recordset({
  tenant_id: 'text',
  config_id: 'uuid',
  version: 'int',
  alert_id: 'uuid',
  measured_value: 'float8',
  sample_count: 'int',
});
const ENDED = recordset({
  tenant_id: 'text',
  config_id: 'uuid',
  alert_id: 'uuid',
  version: 'int',
  resolution: 'text',
});

/**
 * Locks configurations in the order of the given keys. Whoever changes a configuration's alerts holds this lock first. No ORDER BY: to
 * have the order without a sort, the planner reads the whole index.
 */
const LOCK_SQL = `
select from ${KEYS.from('k', 1)}
 cross join lateral (
  select from alert_configs c where c.tenant_id = k.tenant_id and c.config_id = k.config_id for update) c`;

/**
 * A configuration that was changed since it was read raises nothing: the next run reads it again. A cool-down that begins in the
 * future was written with a wrong clock, and does not count.
 */
const RAISE_SQL = `
insert into alert_history as h (tenant_id, alert_id, config_id, config_name, condition, severity, status, measured_value, sample_count,
  triggered_at, created_at)
select c.tenant_id, r.alert_id, c.config_id, c.name, c.condition, c.severity, 'triggered', r.measured_value, r.sample_count, $1, $1
  from ${RAISED.from('r', 2)}
 cross join lateral (
  select * from alert_configs c where c.tenant_id = r.tenant_id and c.config_id = r.config_id offset 0) c
 where c.version = r.version and c.is_active
   and (c.last_ended_at is null or c.last_ended_at > $1
        or c.last_ended_at + make_interval(mins => c.cooldown_minutes) <= $1)
on conflict (tenant_id, config_id) where status <> 'resolved' do nothing
returning ${TOLD_COLUMNS}`;

const END_SQL = `
update alert_history h
   set status = 'resolved', resolved_at = greatest($1::timestamptz, h.triggered_at), resolution = e.resolution
  from ${ENDED.from('e', 2)}
  left join alert_configs c on c.tenant_id = e.tenant_id and c.config_id = e.config_id
 where h.tenant_id = e.tenant_id and h.alert_id = e.alert_id and h.status <> 'resolved'
   and case when e.version is null then c.is_active is not true else c.is_active and c.version = e.version end
returning ${TOLD_COLUMNS}, h.resolved_at, h.resolution`;

const mark = (column: 'last_triggered_at' | 'last_ended_at'): string => `
update alert_configs c set ${column} = $1 from ${KEYS.from('k', 2)}
 where c.tenant_id = k.tenant_id and c.config_id = k.config_id`;

/**
 * Raises and ends alerts, and writes their events to the outbox: one transaction. Any number of evaluators may do this at once and
 * with the same alerts: each is raised, ended and told once.
 * @throws the database's error; then nothing is written.
 */
export function settleBatch(
  analytics: CrossTenantDatabase,
  changes: { readonly raised: readonly Raised[]; readonly ended: readonly Ended[] },
  now: Date,
): Promise<Settled> {
  return inBatch(analytics, async (transaction) => {
    await transaction.query(LOCK_SQL, KEYS.parameters(inOrder([...changes.raised, ...changes.ended])));
    const triggered = await raise(transaction, changes.raised, now);
    const resolved = await end(transaction, changes.ended, now);
    const tenants = new Set([...triggered, ...resolved].map((alert) => alert.tenant_id));
    const entries = [...tenants].flatMap((tenantId) => {
      const own = (alert: ToldAlert): boolean => alert.tenant_id === tenantId;
      const events = [
        ...triggered.filter(own).map((alert) => triggeredEvent(alert, now)),
        ...resolved.filter(own).map((alert) => resolvedEvent(alert, now)),
      ];
      return newEntries('analytics', tenantId, events, now);
    });
    await addToOutbox(transaction, entries);
    return { triggered: triggered.length, resolved: resolved.length, entries };
  });
}

type Key = Pick<Raised, 'tenant_id' | 'config_id'>;

/** One order for every evaluator, so that two do not deadlock. */
function inOrder(keys: readonly Key[]): Key[] {
  const textOf = ({ tenant_id, config_id }: Key): string => `${tenant_id} ${config_id}`;
  return keys.toSorted((left, right) => (textOf(left) < textOf(right) ? -1 : 1));
}

async function raise(
  transaction: CrossTenantTransaction,
  raised: readonly Raised[],
  now: Date,
): Promise<ToldAlert[]> {
  if (raised.length === 0) return [];
  const rows = await transaction.query<ToldAlert>(RAISE_SQL, [now, ...RAISED.parameters(raised)]);
  if (rows.length > 0) await transaction.query(mark('last_triggered_at'), [now, ...KEYS.parameters(rows)]);
  return rows;
}

async function end(
  transaction: CrossTenantTransaction,
  ended: readonly Ended[],
  now: Date,
): Promise<ToldResolved[]> {
  if (ended.length === 0) return [];
  const rows = await transaction.query<ToldResolved>(END_SQL, [now, ...ENDED.parameters(ended)]);
  if (rows.length > 0) await transaction.query(mark('last_ended_at'), [now, ...KEYS.parameters(rows)]);
  return rows;
}
