import { withConnection } from '../../tools/migrate/connect.ts';

/**
 * Lets jobs of a core database run as of a time that lies ahead, as the API does in local environments: without it the database
 * drops no partition whose records have not expired by its own clock.
 */
export async function allowRunsAhead(coreUrl: string): Promise<void> {
  await withConnection(coreUrl, (client) => client.query('update ops.deployment set runs_ahead = true'));
}
