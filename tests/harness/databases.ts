import path from 'node:path';
import postgres from 'postgres';
import { afterAll, afterEach } from 'vitest';
import {
  DATABASES,
  forEachDatabase,
  listConnectingRoles,
  OWNER_ROLE,
} from '../../tools/migrate/databases.ts';
import type { DatabaseName, PerDatabase } from '../../tools/migrate/databases.ts';
import { askForFileNumber, askForPart, keepAfterRun } from './ask.ts';
import type { PostgresFacts } from './part-facts.ts';

/** Connection strings of a migrated, empty database that only this test file uses. */
export interface TestDatabase {
  name: string;
  /** The superuser, whom row security does not bind: to prepare and to check rows. */
  admin: string;
  /** `comply_owner`, whom row security binds too. */
  owner: string;
  /** `comply_app`, the role of requests. */
  app: string;
  /** `comply_jobs`, the cross-tenant role. */
  crossTenant: string;
}

function changeUrl(url: string, change: (changed: URL) => void): string {
  const changed = new URL(url);
  change(changed);
  return changed.toString();
}

function describeDatabase(facts: PostgresFacts, name: string): TestDatabase {
  const admin = changeUrl(facts.adminUrl, (url) => {
    url.pathname = `/${name}`;
  });
  const login = (role: keyof PostgresFacts['passwords']): string =>
    changeUrl(admin, (url) => {
      url.username = role;
      url.password = facts.passwords[role];
    });
  const owner = changeUrl(admin, (url) => url.searchParams.set('options', `-c role=${OWNER_ROLE}`));
  return { name, admin, owner, app: login('comply_app'), crossTenant: login('comply_jobs') };
}

/** Runs statements as the superuser, outside the file's own databases. */
async function administer(adminUrl: string, work: (sql: postgres.Sql) => Promise<void>): Promise<void> {
  const sql = postgres(adminUrl, { max: DATABASES.length, onnotice: () => undefined });
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

let opened = 0; // a file may open more than one set

async function clone(
  sql: postgres.Sql,
  template: string,
  name: string,
  database: DatabaseName,
): Promise<void> {
  // Copies the files as they are. The default way sends each page through the cache and the log: more than twice the work.
  await sql.unsafe(`create database ${name} template ${template} strategy file_copy owner ${OWNER_ROLE}`);
  // Grants on a database are not cloned.
  await sql.unsafe(`revoke all on database ${name} from public`);
  await sql.unsafe(`grant connect on database ${name} to ${listConnectingRoles(database).join(', ')}`);
}

/**
 * Gives the test file its own migrated copies of the three databases. Call it at the top level of the file
 * (`const databases = await openDatabases()`). They are dropped after the file's last test, or kept if a test failed.
 */
export async function openDatabases(): Promise<PerDatabase<TestDatabase>> {
  const [facts, number] = await Promise.all([askForPart('postgres'), askForFileNumber()]);
  opened += 1;
  const prefix = `t${number}_${opened}`;
  const nameFor = (database: DatabaseName): string => `${prefix}_${database}`;
  await administer(facts.adminUrl, async (sql) => {
    await Promise.all(
      DATABASES.map((database) => clone(sql, facts.templates[database], nameFor(database), database)),
    );
  });
  let failedFile: string | undefined;
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') {
      failedFile = path.relative(process.cwd(), task.file.filepath);
    }
  });
  afterAll(async () => {
    if (failedFile !== undefined) {
      await keepAfterRun(`${nameFor('core')} ${failedFile}`);
      return;
    }
    await administer(facts.adminUrl, async (sql) => {
      await Promise.all(
        DATABASES.map((database) => sql.unsafe(`drop database ${nameFor(database)} with (force)`)),
      );
    });
  });
  return forEachDatabase((database) => Promise.resolve(describeDatabase(facts, nameFor(database))));
}
