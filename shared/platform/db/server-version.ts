import { log } from '../log/log.ts';
import { DependencyUnavailable } from './errors.ts';
import type { Pool } from './pool.ts';

/**
 * The oldest major version of PostgreSQL that the migrations and statements work on. Supported are 16, 17 and 18; the
 * tests run on 18.
 */
export const POSTGRES_MINIMUM = 16;

/** The server is too old for this build: it is not used, whatever would happen to work. */
export class UnsupportedServer extends DependencyUnavailable {
  override name = 'UnsupportedServer';
  /** What to tell an operator. */
  readonly detail: string;
  constructor(version: string) {
    super('The database');
    this.detail = `PostgreSQL ${version} is not supported: ${POSTGRES_MINIMUM} or later is needed`;
  }
}

const refused = new Set<string>();

/**
 * Each server tells its version when a connection begins; before the first one nothing is known.
 * @throws UnsupportedServer for a server before {@link POSTGRES_MINIMUM}; the log says so once.
 */
export function requireSupportedServer(pool: Pool): void {
  const version: unknown = pool.parameters['server_version'];
  if (typeof version !== 'string' || Number.parseInt(version, 10) >= POSTGRES_MINIMUM) return;
  const error = new UnsupportedServer(version);
  if (!refused.has(version)) log.error('postgres-too-old', { detail: error.detail });
  refused.add(version);
  throw error;
}
