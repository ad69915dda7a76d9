import type { MigrationFile } from '../../tools/migrate/migration-files.ts';
import { compareReleases } from '../../tools/migrate/releases.ts';
import { listOf, parseFile, tableOf, textOf, type Node, type Statement } from './parse-file.ts';

// The rules that squawk does not have: what a phase may do, and what the migrator needs. They see the text of the file, not what a
// function or a DO block does.

/** A violation. */
export interface Finding {
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

/** A file with what it creates itself, which no build uses yet. */
interface Context {
  readonly file: MigrationFile;
  readonly tables: ReadonlySet<string>;
  readonly columns: ReadonlySet<string>;
  readonly indexes: ReadonlySet<string>;
}

type Rule = (statement: Statement, context: Context) => string | undefined;

/** Commands of ALTER TABLE that let fewer rows in. */
const TIGHTENING = new Set(['AT_AddConstraint', 'AT_SetNotNull', 'AT_AddIndexConstraint']);
/** Statements that lock a table against every request, and have no place in a migration. */
const NEVER: Readonly<Record<string, string>> = {
  LockStmt: 'locks a table',
  TruncateStmt: 'empties a table',
  ClusterStmt: 'writes a table again while nobody can use it',
  TransactionStmt: 'begins or ends a transaction, which the migrator does',
};

function commandsOf({ kind, node }: Statement): Node[] {
  if (kind !== 'AlterTableStmt') return [];
  return listOf(node['cmds']).map((command) => command['AlterTableCmd'] as Node);
}

/** A constraint of this statement that replaces one of the same name. */
function isReplacement(statement: Statement, command: Node): boolean {
  const name = textOf(command['name']) || textOf(constraintOf(command)['conname']);
  const others = commandsOf(statement).filter((one) => one !== command);
  return others.some(
    (one) =>
      (one['subtype'] === 'AT_DropConstraint' && textOf(one['name']) === name) ||
      (one['subtype'] === 'AT_AddConstraint' && textOf(constraintOf(one)['conname']) === name),
  );
}

function constraintOf(command: Node): Node {
  return (((command['def'] ?? {}) as Node)['Constraint'] as Node | undefined) ?? {};
}

/** The table of a statement that locks one against everybody; undefined for a new one. */
function lockedTable({ kind, node }: Statement, { tables }: Context): string | undefined {
  const range: Readonly<Record<string, unknown>> = {
    AlterTableStmt: node['relation'],
    CreateTrigStmt: node['relation'],
    RuleStmt: node['relation'],
    CreatePolicyStmt: node['table'],
    AlterPolicyStmt: node['table'],
    RenameStmt: node['relation'],
  };
  const name = tableOf(range[kind]);
  return name === '' || tables.has(name) ? undefined : name;
}

/** The name of a dropped object: its last part, and its table for what belongs to one. */
function droppedNames(node: Node): string[] {
  return listOf(node['objects']).map((object) => {
    const items = listOf((object['List'] as Node | undefined)?.['items']);
    return textOf((items.at(-1)?.['String'] as Node | undefined)?.['sval']);
  });
}

const RULES: Readonly<Record<string, Rule>> = {
  'never-in-a-migration': ({ kind, node }) => {
    if (kind === 'VacuumStmt') return 'VACUUM and ANALYZE are the server’s own work';
    if (kind === 'VariableSetStmt' && /_timeout$/.test(textOf(node['name'])))
      return 'the migrator sets the timeouts of each file';
    const what = NEVER[kind];
    return what === undefined ? undefined : `this ${what}`;
  },

  'removal-in-contract': (statement, { file, tables, indexes }) => {
    if (file.phase === 'contract') return undefined;
    const { kind, node } = statement;
    const why = 'an older build may need it: it belongs to a contract migration of a later release';
    if (kind === 'DropStmt') {
      const replaced = droppedNames(node).every((name) => indexes.has(name) || tables.has(name));
      return replaced ? undefined : why;
    }
    if (kind === 'GrantStmt' && node['is_grant'] !== true) {
      const isPublic = listOf(node['grantees']).every(
        (grantee) => (grantee['RoleSpec'] as Node)['roletype'] === 'ROLESPEC_PUBLIC',
      );
      return isPublic ? undefined : why;
    }
    if (tables.has(tableOf(node['relation']))) return undefined;
    const removes = commandsOf(statement).some(
      (command) =>
        command['subtype'] === 'AT_DropColumn' ||
        (command['subtype'] === 'AT_DropConstraint' && !isReplacement(statement, command)) ||
        (command['subtype'] === 'AT_ColumnDefault' && command['def'] === undefined),
    );
    return removes ? why : undefined;
  },

  'tightening-in-contract': (statement, { file, tables, columns }) => {
    if (file.phase === 'contract') return undefined;
    const { kind, node } = statement;
    const table = tableOf(node['relation']);
    if (tables.has(table)) return undefined;
    const why = 'an older build may write what this refuses: it belongs to a contract migration';
    if (kind === 'IndexStmt') {
      const isNew = listOf(node['indexParams']).every((param) =>
        columns.has(`${table}.${textOf((param['IndexElem'] as Node)['name'])}`),
      );
      return node['unique'] === true && !isNew ? why : undefined;
    }
    const tightens = commandsOf(statement).some(
      (command) => TIGHTENING.has(textOf(command['subtype'])) && !isReplacement(statement, command),
    );
    return tightens ? why : undefined;
  },

  'data-in-migrate': ({ kind, node }, { file, tables }) => {
    if (file.phase === 'migrate') return undefined;
    if (tables.has(tableOf(node['relation']))) return undefined;
    const select = (node['selectStmt'] as Node | undefined)?.['SelectStmt'] as Node | undefined;
    const changes =
      ['UpdateStmt', 'DeleteStmt', 'MergeStmt', 'DoStmt', 'CopyStmt'].includes(kind) ||
      (kind === 'InsertStmt' && select?.['valuesLists'] === undefined);
    return changes ? 'existing rows are changed by a migrate migration, in batches' : undefined;
  },

  'schema-in-expand': (statement, { file }) => {
    if (file.phase !== 'migrate') return undefined;
    const { kind } = statement;
    const isData = [
      'UpdateStmt',
      'DeleteStmt',
      'MergeStmt',
      'InsertStmt',
      'DoStmt',
      'CallStmt',
      'SelectStmt',
    ];
    // The owner changes rows of all tenants only while row security does not bind it.
    const around = file.outsideTransaction ? ['AT_NoForceRowSecurity', 'AT_ForceRowSecurity'] : [];
    const isAllowed = (command: Node): boolean =>
      ['AT_ValidateConstraint', ...around].includes(textOf(command['subtype']));
    return isData.includes(kind) || (kind === 'AlterTableStmt' && commandsOf(statement).every(isAllowed))
      ? undefined
      : 'a migrate migration has only data: while it runs, it would keep the lock of this statement';
  },

  'no-rename': ({ kind, node }) =>
    kind === 'RenameStmt' && node['renameType'] !== 'OBJECT_INDEX'
      ? 'builds use the old name or the new one: add a second object, and remove the first in a later release'
      : undefined,

  'concurrent-index': ({ kind, node }, { file }) => {
    if (node['concurrent'] !== true) return undefined;
    if (!file.outsideTransaction) return 'CONCURRENTLY cannot run in a transaction: "-- no-transaction"';
    return kind === 'IndexStmt' && textOf(node['idxname']) === ''
      ? 'without a name, the migrator cannot find it when it was left half-built'
      : undefined;
  },
};

function contextOf(file: MigrationFile, statements: readonly Statement[]): Context {
  const created = (kind: string, name: (node: Node) => string): string[] =>
    statements.filter((statement) => statement.kind === kind).map(({ node }) => name(node));
  return {
    file,
    tables: new Set(created('CreateStmt', (node) => tableOf(node['relation']))),
    indexes: new Set(created('IndexStmt', (node) => textOf(node['idxname']))),
    columns: new Set(
      statements.flatMap((statement) =>
        commandsOf(statement)
          .filter((command) => command['subtype'] === 'AT_AddColumn')
          .map((command) => {
            const column = (command['def'] as Node)['ColumnDef'] as Node;
            return `${tableOf(statement.node['relation'])}.${textOf(column['colname'])}`;
          }),
      ),
    ),
  };
}

/** One transaction that locks two tables can meet a request that locks them in the other order: a deadlock. */
function checkTables(statements: readonly Statement[], context: Context): Finding[] {
  if (context.file.outsideTransaction) return [];
  const locked = statements.filter((statement) => lockedTable(statement, context) !== undefined);
  const names = [...new Set(locked.map((statement) => lockedTable(statement, context)))];
  return names.length < 2
    ? []
    : [
        {
          line: locked.at(-1)?.line ?? 1,
          rule: 'one-table-per-file',
          message: `it locks ${names.join(' and ')} in one transaction: a file for each`,
        },
      ];
}

/** Checks a new migration with this project’s own rules. Throws the parser's error when it is no SQL. */
export function checkFile(file: MigrationFile, release: string): Finding[] {
  const statements = parseFile(file.text);
  const context = contextOf(file, statements);
  const findings: Finding[] = [];
  if (file.phase === undefined)
    findings.push({ line: 1, rule: 'phase', message: 'has no "-- phase: expand", "migrate" or "contract"' });
  if (file.afterRelease !== undefined && compareReleases(file.afterRelease, release) > 0)
    findings.push({
      line: 1,
      rule: 'after-release',
      message: `the release ${file.afterRelease} is newer than this one (${release})`,
    });
  for (const statement of statements) {
    for (const [rule, check] of Object.entries(RULES)) {
      const message = statement.allowed.has(rule) ? undefined : check(statement, context);
      if (message !== undefined) findings.push({ line: statement.line, rule, message });
    }
    if (statement.isUnexplained)
      findings.push({
        line: statement.line,
        rule: 'ignored-with-reason',
        message: 'say why the rule does not apply',
      });
  }
  return [...findings, ...checkTables(statements, context)];
}
