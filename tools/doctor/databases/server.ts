import { isLoopback } from '../../../shared/platform/config/connection-settings.ts';
import { POSTGRES_MINIMUM } from '../../../shared/platform/db/server-version.ts';
import type { DatabaseName } from '../../migrate/databases.ts';
import { notChecked, ok, problem, warning, type Check } from '../check.ts';

/** The newest version that the tests run on. */
const NEWEST_TESTED = 18;

/** The server's version. */
export const serverVersion = (database: DatabaseName): Check => ({
  name: `${database}-version`,
  group: 'databases',
  looksAt: `the version of the ${database} database's server`,
  async run(patient) {
    const version = await patient.askReachable(database, 'crossTenant', async (client) => {
      const { rows } = await client.query<{ version: string }>(
        `select current_setting('server_version') as version`,
      );
      return rows[0]?.version ?? '';
    });
    const major = Number.parseInt(version, 10);
    const upgrade = `az postgres flexible-server upgrade --version ${NEWEST_TESTED} --resource-group ${patient.resourceGroup} --name <server>`;
    if (major < POSTGRES_MINIMUM)
      return problem(`PostgreSQL ${version}: ${POSTGRES_MINIMUM} or later is needed`, upgrade);
    if (major > NEWEST_TESTED)
      return warning(
        `PostgreSQL ${version} is newer than the tests' ${NEWEST_TESTED}`,
        'update this build, or run its tests on that version',
      );
    return ok(`PostgreSQL ${version}`);
  },
});

/** Whether the connection is encrypted, and to whom. */
export const serverTls = (database: DatabaseName): Check => ({
  name: `${database}-tls`,
  group: 'databases',
  looksAt: `whether connections to the ${database} database are encrypted and its certificate is checked`,
  async run(patient) {
    const url = patient.urlOf(database, 'crossTenant');
    if (isLoopback(new URL(url)))
      return notChecked('the server is on this machine: nothing crosses a network');
    const tls = await patient.askReachable(database, 'crossTenant', async (client) => {
      const { rows } = await client.query<{ ssl: boolean; version: string | null }>(
        'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()',
      );
      return rows[0];
    });
    if (tls?.ssl !== true)
      return problem(
        'the connection is not encrypted',
        'on the server: az postgres flexible-server parameter set --name require_secure_transport --value on',
      );
    const version = tls.version ?? 'TLS';
    if (!/^TLSv1\.[23]$/.test(version))
      return problem(
        `${version} is too old`,
        'az postgres flexible-server parameter set --name ssl_min_protocol_version --value TLSv1.2',
      );
    // Without a check of the certificate, the app connects to no server over a network.
    return ok(`${version}, certificate checked`);
  },
});
