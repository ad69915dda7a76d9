import { readFileSync } from 'node:fs';
import { findMigrationsFolder, findSnapshotFile, type DatabaseName } from '../../migrate/databases.ts';
import { readMigrationFolder } from '../../migrate/migration-files.ts';
import { readAppliedMigrations } from '../../migrate/migration-state.ts';
import { checkIsolation } from '../../migrate/catalogue.ts';
import { readSchemaSnapshot } from '../../migrate/schema-snapshot.ts';
import { TABLES } from '../../migrate/tables.ts';
import { NotChecked } from '../not-checked.ts';
import type { Patient } from '../patient.ts';
import { names, ok, orOk, problem, warning, type Check, type Finding } from '../check.ts';

/** Row security, policies, keys and owners, in the database as it is. */
export const isolation = (database: DatabaseName): Check => ({
  name: `${database}-isolation`,
  group: 'databases',
  looksAt: `whether row security binds everybody in every tenant table of the ${database} database`,
  async run(patient) {
    const faults = await patient.askReachable(database, 'crossTenant', (client) =>
      checkIsolation(client, TABLES[database]),
    );
    return orOk(
      faults.map((fault) => problem(fault, remedyOf(fault))),
      'row security is forced on every tenant table, and no role passes it',
    );
  },
});

/** The statement that mends one fault of the catalogue's rules. */
function remedyOf(fault: string): string {
  const [first = '', second = ''] = fault.split(' ');
  if (fault.includes('does not force row security')) return `alter table ${first} force row level security`;
  if (fault.endsWith('has no row security')) return `call ops.isolate_tenant('${first}')`;
  if (fault.endsWith('may pass row security')) return `alter role ${second} nobypassrls nosuperuser`;
  if (fault.includes('inherits what it is granted')) return `alter role ${second} noinherit`;
  if (/^role \S+ is a member of /.test(fault))
    return `revoke ${fault.split(' ').at(-1) ?? ''} from ${second}`;
  if (fault.includes('is owned by'))
    return `reassign owned by ${fault.split(' ').at(-1) ?? ''} to comply_owner`;
  return 'find who changed the schema, and change it back by a migration; until then, keep tenants out';
}

type Sections = ReadonlyMap<string, readonly string[]>;

/** The lines of each object in a snapshot. */
function sectionsOf(snapshot: string): Sections {
  return new Map(
    snapshot
      .split(/\n\n(?=\S)/)
      .filter((section) => section.trim() !== '')
      .map((section): [string, string[]] => {
        const [name = '', ...lines] = section.trimEnd().split('\n');
        return [name, lines];
      }),
  );
}

/** Objects of extensions are not the app's. */
const EXTENSIONS = /^extension |pg_stat_statements|^default privileges of (azure|azuresu)/;

/** How the database differs from the snapshot, by object. */
function compare(expected: Sections, found: Sections): readonly Finding[] {
  const missing = [...expected.keys()].filter((name) => !found.has(name));
  const unknown = [...found.keys()].filter((name) => !expected.has(name) && !EXTENSIONS.test(name));
  const changed = [...expected].flatMap(([name, lines]) => {
    const has = found.get(name);
    if (has === undefined || has.join('\n') === lines.join('\n')) return [];
    const lost = lines.filter((line) => !has.includes(line));
    const added = has.filter((line) => !lines.includes(line));
    return [{ name, lost, added }];
  });
  const grants = changed.filter(({ lost, added }) =>
    [...lost, ...added].some((line) => line.startsWith('  grant ')),
  );
  const others = changed.filter((one) => !grants.includes(one));
  const migrate =
    'npm run migrate -- --check tells whether a rollout is the reason; a change by hand is undone by hand';
  const findings: Finding[] = [];
  if (missing.length > 0) findings.push(problem(`missing: ${names(missing)}`, migrate));
  for (const { name, lost, added } of grants)
    findings.push(
      problem(
        `${name}: ${[...lost.map((line) => `lacks${line.slice(1)}`), ...added.map((line) => `has${line.slice(1)}`)].join('; ')}`,
        'grant and revoke so that it is as in migrations/snapshots; grants are made by migrations only',
      ),
    );
  if (others.length > 0)
    findings.push(
      problem(`not as this build's migrations make it: ${names(others.map(({ name }) => name))}`, migrate),
    );
  if (unknown.length > 0)
    findings.push(
      warning(
        `unknown to this build: ${names(unknown)}`,
        'deploy the build that made them, or drop what was made by hand',
      ),
    );
  return findings;
}

/** Whether the database has fewer or more migrations than this build; false if that cannot be read. */
async function isAnotherBuilds(patient: Patient, database: DatabaseName): Promise<boolean> {
  if (patient.owners[database] === undefined) return false;
  const files = readMigrationFolder(findMigrationsFolder(database));
  try {
    return (await patient.ask(database, 'owner', readAppliedMigrations)).length !== files.length;
  } catch {
    return false;
  }
}

/** The whole schema against the snapshot of this build's migrations: it needs no administrator. */
export const schema = (database: DatabaseName): Check => ({
  name: `${database}-schema`,
  group: 'databases',
  looksAt: `whether tables, indexes, policies, functions and grants of the ${database} database are those of this build`,
  async run(patient) {
    const snapshot = await patient.askReachable(database, 'crossTenant', readSchemaSnapshot);
    const expected = sectionsOf(readFileSync(findSnapshotFile(database), 'utf8'));
    const findings = compare(expected, sectionsOf(snapshot));
    // While a rollout lasts, the schema may be that of the build before or after. The list of migrations says whether it may.
    if (findings.length > 0 && (await isAnotherBuilds(patient, database)))
      throw new NotChecked(`the schema is that of another build, see ${database}-migrations`);
    return findings.length > 0 ? findings : ok(`${expected.size} objects, all as this build makes them`);
  },
});
