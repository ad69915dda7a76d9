import { withConnection } from '../../tools/migrate/connect.ts';

/**
 * Lets jobs on a core database run as of a future time, as the API allows in local environments. Without this, the database
 * drops no partition with records that have not expired by its own clock.
 */
export async function allowRunsAhead(coreUrl: string): Promise<void> {
  await withConnection(coreUrl, (client) => client.query('update ops.deployment set runs_ahead = true'));
}
