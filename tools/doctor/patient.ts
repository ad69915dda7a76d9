import type { Client } from 'pg';
import { openServices, type Services } from '../../functions/services.ts';
import type { CrossTenantDatabase } from '../../shared/platform/db/tenant-database.ts';
import { databaseToken } from '../../shared/platform/entra/database-password.ts';
import type { Settings } from '../../shared/platform/config/settings.ts';
import { systemClock, type Clock } from '../../shared/platform/time/clock.ts';
import { openConnection } from '../migrate/connect.ts';
import type { DatabaseName, PerDatabase } from '../migrate/databases.ts';
import { withStandIns, type GivenSettings } from './given-settings.ts';
import { NotChecked } from './not-checked.ts';

/** A role's way to a database: `app` as requests use it, `crossTenant` as timers do, `owner` as the migrator does. */
export type Role = 'app' | 'crossTenant' | 'owner';

/** Shorter than the time of a check, so that a check can say which server it was. */
const CONNECT_MS = 5_000;
const STATEMENT_MS = 6_000;

/** What is known before anything is asked. */
export interface PatientOptions {
  readonly given: GivenSettings;
  /** Where the API is; undefined: the public side is not checked. */
  readonly url?: string | undefined;
  /** Connection strings of administrators or owners (`MIGRATE_CORE_URL`, …). */
  readonly owners?: Partial<PerDatabase<string>>;
  /** How many instances of the app there can be. */
  readonly instances?: number | undefined;
  /** Certificate authorities to trust besides the usual ones, for the public side. */
  readonly authorities?: readonly string[];
  readonly clock?: Clock;
}

/** What the checks look at: settings, and connections that are opened by the first check that needs them. */
export class Patient {
  readonly given: GivenSettings;
  readonly url: URL | undefined;
  readonly owners: Partial<PerDatabase<string>>;
  readonly instances: number | undefined;
  readonly authorities: readonly string[];
  readonly clock: Clock;
  readonly #connections = new Map<string, Promise<Client>>();
  readonly #turns = new Map<string, Promise<unknown>>();
  #services: Services | undefined;

  constructor({ given, url, owners = {}, instances, authorities = [], clock = systemClock }: PatientOptions) {
    this.given = given;
    this.url = url === undefined ? undefined : new URL(url);
    this.owners = owners;
    this.instances = instances;
    this.authorities = authorities;
    this.clock = clock;
  }

  /** Where the app runs; undefined if the settings do not say so. */
  get environment(): Settings['DEPLOYMENT_ENVIRONMENT'] | undefined {
    return this.given.valid.DEPLOYMENT_ENVIRONMENT;
  }

  get isLocal(): boolean {
    return this.environment === 'local';
  }

  /** The resource group's name, for the commands of remedies. */
  get resourceGroup(): string {
    return this.given.raw['AZURE_RESOURCE_GROUP'] ?? '<resource group>';
  }

  /** A valid setting; undefined if it is unset or broken. */
  setting<Name extends keyof Settings>(name: Name): Settings[Name] | undefined {
    return this.given.valid[name];
  }

  /** A valid setting. @throws NotChecked without it. */
  need<Name extends keyof Settings>(name: Name): Exclude<Settings[Name], undefined> {
    const value: Settings[Name] | undefined = this.given.valid[name];
    if (value !== undefined) return value as Exclude<Settings[Name], undefined>;
    if (this.given.references.has(name))
      throw new NotChecked(
        `${name} is a Key Vault reference, which only the Function App resolves`,
        `export ${name}="$(az keyvault secret show --vault-name ${this.given.references.get(name)?.vault ?? ''} --name ${this.given.references.get(name)?.secret ?? ''} --query value -o tsv)"`,
      );
    throw new NotChecked(name in this.given.raw ? `${name} is broken, see settings` : `${name} is not set`);
  }

  /** @throws NotChecked unless one of the settings is valid. */
  needOne(...wanted: readonly (keyof Settings)[]): void {
    const [first] = wanted;
    if (first !== undefined && wanted.every((name) => this.given.valid[name] === undefined)) this.need(first);
  }

  /** The app's clients. Ask {@link need} first: for a missing setting they lead nowhere. */
  get services(): Services {
    this.#services ??= openServices(withStandIns(this.given), this.clock);
    return this.#services;
  }

  /** The connection string of a role. @throws NotChecked without it. */
  urlOf(database: DatabaseName, role: Role): string {
    const name = database.toUpperCase() as Uppercase<DatabaseName>;
    if (role === 'app') return this.need(`${name}_DATABASE_URL`);
    if (role === 'crossTenant') return this.need(`${name}_CROSS_TENANT_DATABASE_URL`);
    const owner = this.owners[database];
    if (owner === undefined)
      throw new NotChecked(
        `MIGRATE_${name}_URL is not set`,
        `set MIGRATE_${name}_URL as for npm run migrate`,
      );
    return owner;
  }

  #connect(database: DatabaseName, role: Role): Promise<Client> {
    const key = `${database}/${role}`;
    let connection = this.#connections.get(key);
    if (connection === undefined) {
      const identity = role === 'crossTenant' ? this.setting('DATABASE_CROSS_TENANT_CLIENT_ID') : undefined;
      const isToken = this.setting('DATABASE_AUTH') === 'entra' && role !== 'owner';
      connection = openConnection(
        this.urlOf(database, role),
        {
          application_name: 'comply-doctor',
          connectionTimeoutMillis: CONNECT_MS,
          statement_timeout: STATEMENT_MS,
          ...(isToken ? { password: () => databaseToken(identity) } : {}),
        },
        this.setting('EXTRA_CA_CERTS'),
      );
      connection.catch(() => undefined);
      this.#connections.set(key, connection);
    }
    return connection;
  }

  /** Runs `work` on the role's only connection, after the work of other checks. @throws what connecting throws. */
  async ask<T>(database: DatabaseName, role: Role, work: (client: Client) => Promise<T>): Promise<T> {
    const key = `${database}/${role}`;
    const client = await this.#connect(database, role);
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(() => work(client));
    this.#turns.set(
      key,
      turn.catch(() => undefined),
    );
    return turn;
  }

  /** Like {@link ask}, for a check that has nothing to say of a database that cannot be reached. @throws NotChecked for that. */
  async askReachable<T>(
    database: DatabaseName,
    role: Role,
    work: (client: Client) => Promise<T>,
  ): Promise<T> {
    this.urlOf(database, role);
    try {
      await this.#connect(database, role);
    } catch {
      throw new NotChecked(`the ${database} database cannot be used, see ${database}-reachable`);
    }
    return this.ask(database, role, work);
  }

  /** The app's own handle of a database, once it can be reached. @throws NotChecked if it cannot. */
  async crossTenant(database: DatabaseName): Promise<CrossTenantDatabase> {
    await this.askReachable(database, 'crossTenant', (client) => client.query('select 1'));
    return this.services.crossTenant[database];
  }

  /** Closes what was opened. */
  async close(): Promise<void> {
    const connections = [...this.#connections.values()].map((connection) =>
      connection.then((client) => client.end()).catch(() => undefined),
    );
    await Promise.all([...connections, this.#services?.close()]);
  }
}
