import { openServices } from '../../functions/services.ts';
import type { AppSettings } from '../../dev/stack/app-settings.ts';
import { readSettings } from '../../shared/platform/config/settings.ts';
import { QUEUES } from '../../shared/platform/bus/queues.ts';
import { MINUTE_MS } from '../../shared/platform/time/clock.ts';
import { countOutbox } from '../../shared/platform/writes/outbox.ts';
import { withConnection } from '../../tools/migrate/connect.ts';
import { eventually } from './eventually.ts';
import type { Scene } from './scene.ts';

const SETTLE_S = 40;
/** Reads of empty queues in a row: a consumer commits before its message is gone, and publishes its own events after that. */
const QUIET_READS = 3;

/** Waits until no outbox and no queue has anything. The relay is asked to publish also what is young. */
export async function settle(settings: AppSettings, scene: Pick<Scene, 'runJob'>): Promise<void> {
  const services = openServices(readSettings({ ...settings }));
  const { core, billing, analytics } = services.crossTenant;
  let quiet = 0;
  try {
    await eventually(
      async () => {
        const rows = await Promise.all([core, billing, analytics].map(countOutbox));
        const outbox = rows.reduce((sum, count) => sum + count, 0);
        if (outbox > 0) await scene.runJob('outbox-relay', new Date(Date.now() + MINUTE_MS));
        const queued = await Promise.all(
          QUEUES.map(({ name }) => services.bus.peek(name, { dead: false, limit: 1 })),
        );
        const waiting = queued.flat().length;
        quiet = outbox + waiting === 0 ? quiet + 1 : 0;
        return { outbox, waiting };
      },
      () => quiet >= QUIET_READS,
      SETTLE_S,
    );
  } finally {
    await services.close();
  }
}

/** The calls that each tenant has made before the load. */
export function readBaseline(billingUrl: string): Promise<ReadonlyMap<string, number>> {
  return withConnection(billingUrl, async (client) => {
    const { rows } = await client.query<{ tenant_id: string; calls: number }>(
      `select tenant_id, sum(usage_amount)::int as calls from usage_records where usage_type = 'api_calls' group by 1`,
    );
    return new Map(rows.map((row) => [row.tenant_id, row.calls]));
  });
}
