import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { APP_FOLDER } from '../../dev/stack/build-app.ts';
import type { AppSettings } from '../../dev/stack/app-settings.ts';
import { openSecrets } from '../../dev/stack/secrets.ts';
import { startHostChild } from '../../dev/stack/start-host-child.ts';
import type { Stack } from '../../dev/stack/start-stack.ts';
import type { BaseBackup } from '../../dev/postgres/base-backup.ts';
import { restoreBackup } from '../../dev/postgres/restore-backup.ts';
import type { PostgresServer } from '../../dev/postgres/start-postgres.ts';
import type { WalArchive } from '../../dev/postgres/wal-archive.ts';
import { findTypeScriptNode } from '../../dev/processes/node-command.ts';
import { nameDatabase } from '../../tools/migrate/databases.ts';
import type { ReconcileReport } from '../../tools/reconcile/reconcile.ts';

export type Database = 'core' | 'billing' | 'analytics';
const DATABASES: readonly Database[] = ['core', 'billing', 'analytics'];

/** Reconciling ends with this when something is left for a person. */
const DIFFERENCES_LEFT = 3;

/** The app on three restored servers, each at its own moment. */
export interface RestoredStack {
  readonly moments: Readonly<Record<Database, Date>>;
  /** The app's settings. */
  readonly settings: AppSettings;
  /** The superuser's connection strings. */
  readonly adminUrls: Readonly<Record<Database, string>>;
  /** Runs `npm run reconcile` as an operator does. */
  reconcile(options: { readonly mend: boolean; readonly until: Date }): Promise<ReconcileReport>;
  stop(): Promise<void>;
}

/** Restores each database to its moment: one server for each, from one backup. Then starts the app on them. */
export async function startRestored(
  stack: Stack,
  from: {
    readonly backup: BaseBackup;
    readonly archive: WalArchive;
    readonly name: string;
    readonly appDir: string;
  },
  moments: Readonly<Record<Database, Date>>,
): Promise<RestoredStack> {
  const { backup, archive, name, appDir } = from;
  const { postgresPassword } = openSecrets(stack.folder);
  const servers = new Map<Database, PostgresServer>();
  const settings: AppSettings = { ...stack.settings };
  for (const database of DATABASES) {
    const server = await restoreBackup({
      backup,
      archive,
      dataDir: path.join(stack.folder, `${name}-${database}`),
      logFile: path.join(stack.folder, 'logs', `${name}-${database}.log`),
      password: postgresPassword,
      moment: moments[database],
    });
    servers.set(database, server);
    for (const setting of [
      `${database.toUpperCase()}_DATABASE_URL`,
      `${database.toUpperCase()}_CROSS_TENANT_DATABASE_URL`,
    ]) {
      const url = new URL(settings[setting] ?? '');
      url.port = String(server.port);
      settings[setting] = url.href;
    }
  }
  const host = await startHostChild({
    appDir,
    settings,
    port: Number(new URL(stack.baseUrl).port),
    stateDir: path.join(stack.folder, 'host'),
    logFile: path.join(stack.folder, 'logs', `${name}-host.log`),
  });
  const urlOf = (database: Database): string => servers.get(database)?.adminUrl(nameDatabase(database)) ?? '';
  return {
    moments,
    settings,
    adminUrls: { core: urlOf('core'), billing: urlOf('billing'), analytics: urlOf('analytics') },
    reconcile: (options) =>
      runReconcile(settings, moments, { ...options, file: path.join(stack.folder, `${name}.json`) }),
    async stop() {
      await host.stop();
      await Promise.all([...servers.values()].map((server) => server.stop('immediate')));
    },
  };
}

function runReconcile(
  settings: AppSettings,
  moments: Readonly<Record<Database, Date>>,
  { mend, until, file }: { readonly mend: boolean; readonly until: Date; readonly file: string },
): Promise<ReconcileReport> {
  const args = [
    path.join(APP_FOLDER, 'tools/reconcile/main.ts'),
    ...DATABASES.flatMap((database) => [`--${database}`, moments[database].toISOString()]),
    '--until',
    until.toISOString(),
    '--json',
    file,
    ...(mend ? ['--mend', '--wait', '60'] : []),
  ];
  const options = { env: { ...process.env, ...settings }, maxBuffer: 2 ** 28 };
  return new Promise((resolve, reject) => {
    execFile(findTypeScriptNode(), args, options, (error, _, stderr) => {
      if (error !== null && error.code !== DIFFERENCES_LEFT) reject(new Error(`reconcile failed: ${stderr}`));
      else resolve(JSON.parse(readFileSync(file, 'utf8')) as ReconcileReport);
    });
  });
}
