/**
 * `npm run lint:migrations`, a part of `npm run lint`: checks each migration that is not in `migrations/baseline.json`, with squawk
 * and with the rules of this project. Files of the baseline were made before the first release and never change.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { VERSION } from '../../shared/platform/config/version.ts';
import { DATABASES, findMigrationsFolder } from '../../tools/migrate/databases.ts';
import { readMigrationFolder } from '../../tools/migrate/migration-files.ts';
import { checkFile } from './rules.ts';
import { runSquawk } from './run-squawk.ts';

const names = z.array(z.string());
const baselineSchema = z.strictObject({ core: names, billing: names, analytics: names });

const root = path.join(import.meta.dirname, '../..');
const baseline = baselineSchema.parse(
  JSON.parse(readFileSync(path.join(root, 'migrations/baseline.json'), 'utf8')),
);
let faults = 0;
for (const database of DATABASES) {
  const files = readMigrationFolder(findMigrationsFolder(database));
  for (const file of files.filter(({ name }) => !baseline[database].includes(name))) {
    const findings = [...checkFile(file, VERSION), ...runSquawk(file)];
    for (const { line, rule, message } of findings.toSorted((a, b) => a.line - b.line))
      process.stdout.write(`  error migrations/${database}/${file.name}.sql:${line} ${rule}: ${message}\n`);
    faults += findings.length;
  }
}
process.exitCode = faults > 0 ? 1 : 0;
