import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { VERSION } from '../../../shared/platform/config/version.ts';
import { DATABASES, findMigrationsFolder, type DatabaseName } from '../../../tools/migrate/databases.ts';

/** The migrations that the test adds: one of each kind, on the tables of every request. `{release}` stands for this build's. */
export function listSamples(database: DatabaseName): { name: string; text: string }[] {
  const folder = path.join(import.meta.dirname, database);
  return readdirSync(folder)
    .sort()
    .map((name) => ({
      name: path.basename(name, '.sql').slice(3),
      text: readFileSync(path.join(folder, name), 'utf8').replace('{release}', VERSION),
    }));
}

/** Writes this build's migrations and the samples behind them, and returns each database's folder. */
export function writeMigrations(target: string): Record<DatabaseName, string> {
  const folders = DATABASES.map((database) => {
    const folder = path.join(target, database);
    cpSync(findMigrationsFolder(database), folder, { recursive: true });
    let number = readdirSync(folder).length;
    for (const { name, text } of listSamples(database)) {
      number += 1;
      writeFileSync(path.join(folder, `${String(number).padStart(4, '0')}_${name}.sql`), text);
    }
    return [database, folder] as const;
  });
  return Object.fromEntries(folders) as Record<DatabaseName, string>;
}
