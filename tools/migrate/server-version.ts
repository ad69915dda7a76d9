import type { Client } from 'pg';
import { POSTGRES_MINIMUM } from '../../shared/platform/db/server-version.ts';
import { withConnection, withDatabase } from './connect.ts';

/** `server_version_num` is the major version times this, plus the minor one: 180004 is 18.4. */
const MAJOR = 10_000;

/** Every server has this database, in Azure too. */
export const MAINTENANCE_DATABASE = 'postgres';

/** The server is too old for this build. Nothing on it was changed. */
export class UnsupportedServerError extends Error {
  override name = 'UnsupportedServerError';
}

/** Throws UnsupportedServerError when a server with this `server_version_num` is too old. */
export function checkVersionNumber(versionNumber: number): void {
  const major = Math.floor(versionNumber / MAJOR);
  if (major < POSTGRES_MINIMUM) {
    throw new UnsupportedServerError(
      `the server runs PostgreSQL ${major}; this build needs ${POSTGRES_MINIMUM} or later`,
    );
  }
}

/** Throws UnsupportedServerError when the connected server is too old. Changes nothing. */
export async function checkConnectedServer(client: Client): Promise<void> {
  const { rows } = await client.query<{ version: number }>(
    `select current_setting('server_version_num')::int as version`,
  );
  checkVersionNumber(rows[0]?.version ?? 0);
}

/** Throws UnsupportedServerError when the server of this connection string is too old. Changes nothing. */
export async function checkServer(url: string, extraCa: readonly string[] = []): Promise<void> {
  await withConnection(withDatabase(url, MAINTENANCE_DATABASE), checkConnectedServer, extraCa);
}
