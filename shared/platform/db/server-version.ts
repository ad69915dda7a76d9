import { log } from '../log/log.ts';
import { DependencyUnavailable } from './errors.ts';
import type { Pool } from './pool.ts';

/** The oldest supported major version of PostgreSQL. Supported are 16, 17 and 18. The tests run on 18. */
export const POSTGRES_MINIMUM = 16;

/** The server is too old for this build and is not used, even if statements would work on it. */
export class UnsupportedServer extends DependencyUnavailable {
  override name = 'UnsupportedServer';
  /** The message for an operator. */
  readonly detail: string;
  constructor(version: string) {
    super('The database');
    this.detail = `PostgreSQL ${version} is not supported: ${POSTGRES_MINIMUM} or later is needed`;
  }
}

const refused = new Set<string>();

/**
 * Refuses an old server. A server sends its version when a connection begins, so before that nothing is refused.
 * @throws UnsupportedServer for a server before {@link POSTGRES_MINIMUM}; it is logged once.
 */
export function requireSupportedServer(pool: Pool): void {
  const version: unknown = pool.parameters['server_version'];
  if (typeof version !== 'string' || Number.parseInt(version, 10) >= POSTGRES_MINIMUM) return;
  const error = new UnsupportedServer(version);
  if (!refused.has(version)) log.error('postgres-too-old', { detail: error.detail });
  refused.add(version);
  throw error;
}
