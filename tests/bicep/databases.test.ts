import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { DATABASES } from '../../tools/migrate/databases.ts';
import { at, compiled, ofType, type PredictedResource, type Prediction } from './compiled.ts';

// Names of rules in brackets are those of PSRule for Azure.

const made = await compiled();

const SERVER = 'Microsoft.DBforPostgreSQL/flexibleServers';

function serverOf(prediction: Prediction, database: string): PredictedResource {
  const found = ofType(prediction, SERVER).filter(
    (one) => one.tags?.['database'] === `comply-ai-${database}`,
  );
  expect(found, `servers of ${database}`).toHaveLength(1);
  return found[0] as PredictedResource;
}

/** A server's parameters: name and value. */
function parametersOf(prediction: Prediction, server: PredictedResource): Record<string, unknown> {
  const all = ofType(prediction, `${SERVER}/configurations`);
  const own = all.filter((one) => one.id.startsWith(`${server.id}/`));
  return Object.fromEntries(own.map((one) => [one.name, one.properties['value']]));
}

const MIGRATIONS = path.join(import.meta.dirname, '../../migrations');

/** The extensions that a migration creates, as Azure writes them. */
function extensionsOfMigrations(): string[] {
  return globSync('**/*.sql', { cwd: MIGRATIONS })
    .map((file) => readFileSync(path.join(MIGRATIONS, file), 'utf8'))
    .flatMap((sql) => [...sql.matchAll(/create\s+extension\s+(?:if\s+not\s+exists\s+)?"?([\w-]+)/gi)])
    .map(([, name]) => (name ?? '').toUpperCase());
}

describe.runIf(made !== undefined)('PostgreSQL', () => {
  describe.each(made?.predictions ?? [])('in $environment', (prediction) => {
    it('each database has its own server, with the days of backups that its data needs', () => {
      expect(ofType(prediction, SERVER)).toHaveLength(DATABASES.length);
      const days = DATABASES.map((name) => [
        name,
        at(serverOf(prediction, name).properties, 'backup.backupRetentionDays'),
      ]);
      expect(Object.fromEntries(days)).toEqual({ core: 7, billing: 30, analytics: 7 });
    });

    it.each(DATABASES)('%s: version 18, Entra only, no public access', (name) => {
      const { properties } = serverOf(prediction, name);
      expect(properties).toMatchObject({
        version: '18',
        // Azure.PostgreSQL.AAD, Azure.PostgreSQL.AADOnly
        authConfig: { activeDirectoryAuth: 'Enabled', passwordAuth: 'Disabled' },
        network: { publicNetworkAccess: 'Disabled' },
        storage: { autoGrow: 'Enabled' },
        // Azure.PostgreSQL.MaintenanceWindow
        maintenanceWindow: { customWindow: 'Enabled' },
      });
      expect(Object.keys(properties)).not.toContain('administratorLogin');
      expect(Object.keys(properties)).not.toContain('administratorLoginPassword');
    });

    it.each(DATABASES)('%s: somebody can administer it', (name) => {
      const server = serverOf(prediction, name);
      const all = ofType(prediction, `${SERVER}/administrators`);
      expect(all.filter((one) => one.id.startsWith(`${server.id}/`))).not.toHaveLength(0);
    });

    it.each(DATABASES)('%s: TLS is required, in its newest version', (name) => {
      // Azure.PostgreSQL.UseSSL, Azure.PostgreSQL.MinTLS
      expect(parametersOf(prediction, serverOf(prediction, name))).toMatchObject({
        require_secure_transport: 'on',
        ssl_min_protocol_version: 'TLSv1.3',
      });
    });

    it.each(DATABASES)('%s: only extensions that are used can be created', (name) => {
      const allowed = parametersOf(prediction, serverOf(prediction, name))['azure.extensions'];
      expect(allowed).toBe([...extensionsOfMigrations(), 'PG_STAT_STATEMENTS'].join(','));
    });

    it.each(DATABASES)('%s: the reference’s settings that the service does not make itself', (name) => {
      expect(parametersOf(prediction, serverOf(prediction, name))).toMatchObject({
        shared_preload_libraries: 'pg_stat_statements',
        'pg_stat_statements.track': 'all',
        track_activity_query_size: '2048',
        max_connections: expect.stringMatching(/^\d+$/) as unknown,
      });
    });

    it.each(DATABASES)('%s: its log has no values of rows', (name) => {
      expect(parametersOf(prediction, serverOf(prediction, name))).toMatchObject({
        log_parameter_max_length: '0',
        log_parameter_max_length_on_error: '0',
        log_error_verbosity: 'terse',
      });
    });
  });

  it('in prod there is a second server in another zone, and backups in another region', () => {
    for (const { properties } of ofType((made as NonNullable<typeof made>).of('prod'), SERVER)) {
      expect(properties).toMatchObject({
        highAvailability: { mode: 'ZoneRedundant' }, // Azure.PostgreSQL.ZoneRedundantHA
        backup: { geoRedundantBackup: 'Enabled' }, // Azure.PostgreSQL.GeoRedundantBackup
      });
    }
  });

  it('in prod neither databases nor evidence can be deleted by mistake', () => {
    const prod = (made as NonNullable<typeof made>).of('prod');
    const locked = ofType(prod, 'Microsoft.Authorization/locks').map((one) => one.id);
    for (const server of ofType(prod, SERVER))
      expect(locked.some((id) => id.startsWith(`${server.id}/`))).toBe(true);
    expect(locked.some((id) => /storageAccounts\/\w+ev\w+\//.test(id))).toBe(true);
  });
});

describe.runIf(made !== undefined)('Redis', () => {
  it.each(made?.predictions ?? [])('in $environment is private, encrypted and without keys', (prediction) => {
    const [cluster, ...others] = ofType(prediction, 'Microsoft.Cache/redisEnterprise');
    expect(others).toEqual([]);
    // Azure.RedisEnterprise.MinTLS
    expect(cluster?.properties).toMatchObject({ minimumTlsVersion: '1.2', publicNetworkAccess: 'Disabled' });
    // Given zones are an error of the deployment.
    expect(cluster?.zones).toBeUndefined();
    const [database] = ofType(prediction, 'Microsoft.Cache/redisEnterprise/databases');
    expect(database?.name).toBe('default');
    expect(database?.properties).toMatchObject({
      clientProtocol: 'Encrypted',
      port: 10000,
      // Without it, a client must know clusters.
      clusteringPolicy: 'NoCluster',
      evictionPolicy: 'AllKeysLRU',
      accessKeysAuthentication: 'Disabled',
    });
    const grants = ofType(prediction, 'Microsoft.Cache/redisEnterprise/databases/accessPolicyAssignments');
    expect(grants.map((one) => one.properties['accessPolicyName'])).toEqual(['default']);
  });

  it('no template makes the cache that can no longer be made', () => {
    for (const prediction of made?.predictions ?? []) {
      expect(prediction.resources.map((one) => one.type)).not.toContain('Microsoft.Cache/redis');
    }
  });
});
