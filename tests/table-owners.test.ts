import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';

// Each table has one owner: the folder whose code inserts its rows, or declares it as a resource. Only the owner's SQL names
// the table: other domains and tools use its exported functions. The owners are found in the text of all SQL in `shared/` and
// `tools/`, so there is no list to maintain. A database function also has one owner: the domain of its tables or rules. These
// owners are listed here.

const ROOT = path.join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

/** Tables that no code of the app inserts into, but migrations and tools do. */
const OTHERWISE_OWNED: Readonly<Record<string, string>> = { 'ops.deployment': 'platform' };

/** The domain that shows operators what the platform has written. */
const OPERATORS_DOMAIN = 'operations';

/** The owners of the database's functions. Every domain may call the platform's. */
const FUNCTION_OWNERS: Readonly<Record<string, string>> = {
  'ops.current_tenant': 'platform',
  'ops.wall': 'platform', // the first name of ops.isolate_tenant
  'ops.show_people': 'platform',
  'ops.make_partition': 'platform',
  'ops.index_partition': 'platform',
  'ops.hold_partition': 'domains/records',
  'ops.drop_partition': 'domains/records',
  'ops.kept_records': 'domains/records',
  'ops.scope_ids': 'domains/retention',
  'ops.scope_bound': 'domains/retention',
  'ops.scope_covers': 'domains/retention',
  'ops.orchestration_ids': 'domains/orchestration',
  'ops.orchestration_of': 'domains/mapping',
  'ops.mapping_ids': 'domains/mapping',
  'ops.mappings_named': 'domains/mapping',
  'ops.check_erasure': 'domains/erasure',
  'ops.check_person_erasure': 'domains/erasure',
  'ops.erase_person': 'domains/erasure',
  'ops.erase_rows': 'domains/erasure',
  'ops.clear_rows': 'domains/erasure',
  'ops.check_person_pass': 'domains/erasure',
  'ops.erase_page': 'domains/erasure',
  'ops.erase_rows_page': 'domains/erasure',
  'ops.clear_rows_page': 'domains/erasure',
  'ops.erase_person_page': 'domains/erasure',
  'ops.pseudonymise_entries': 'domains/audit',
  'ops.guard_data_key': 'platform',
};

/** Every function and procedure that the migrations make. */
const FUNCTIONS = [
  ...new Set(
    globSync('migrations/*/*.sql', { cwd: ROOT }).flatMap((file) =>
      [...read(file).matchAll(/^create (?:or replace )?(?:function|procedure) ([a-z_.]+)/gm)].map(
        ([, name]) => String(name),
      ),
    ),
  ),
];

/** Every table of the three databases, as the snapshots of their schemas list them. */
const TABLES = [
  ...new Set(
    globSync('migrations/*/*.sql', { cwd: ROOT }).flatMap((file) =>
      [...read(file).matchAll(/^create table (?:if not exists )?([a-z_.]+)/gm)].map(([, name]) =>
        String(name),
      ),
    ),
  ),
].filter((name) => !name.startsWith('storage_records_'));

/** `domains/<domain>` for a domain, `platform` for all of the platform, `tools`, which own no table, for those. */
function ownerOf(file: string): string {
  const [root, layer, part] = file.split(path.sep);
  if (root === 'tools') return 'tools';
  return layer === 'platform' ? 'platform' : `domains/${part}`;
}

interface Text {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** Members of declarations that name a table outside SQL. SQL is made from them. */
const TABLE_MEMBERS = new Set(['table', 'requests', 'responses', 'companion']);

/** A literal's own text. Literals in a template's placeholders are read separately. */
function ownText(node: ts.Node): string | undefined {
  if (ts.isTemplateExpression(node))
    return [node.head.text, ...node.templateSpans.map((span) => span.literal.text)].join(' $ ');
  if (!ts.isStringLiteralLike(node)) return undefined;
  const { parent } = node;
  const isMember = ts.isPropertyAssignment(parent) && TABLE_MEMBERS.has(parent.name.getText());
  return isMember ? `table ${node.text}` : node.text;
}

/** The texts of a file's literals, without comments. */
function textsOf(file: string): Text[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true);
  const texts: Text[] = [];
  const visit = (node: ts.Node): void => {
    const text = ownText(node);
    const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    if (text !== undefined) texts.push({ file, line, text });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return texts;
}

const TEXTS = globSync(['shared/**/*.ts', 'tools/**/*.ts'], { cwd: ROOT })
  .filter((file) => !file.endsWith('.test.ts'))
  .flatMap(textsOf);

/** Whether SQL names a table: after a keyword, or at the start of a text before an alias. */
function namesTable(text: string, table: string): boolean {
  const name = table.replace('.', '\\.');
  return new RegExp(
    `(\\b(from|join|into|update|using|only|truncate|table)|,)\\s+(only\\s+)?(public\\.)?${name}\\b(?!\\.)|^${name} [a-z]+\\b`,
  ).test(text);
}

function inserts(text: string, table: string): boolean {
  return new RegExp(`\\binsert into ${table.replace('.', '\\.')}\\b`).test(text);
}

const users = (table: string, test: typeof namesTable): string[] => [
  ...new Set(TEXTS.filter(({ text }) => test(text, table)).map(({ file }) => ownerOf(file))),
];

/** The tables that resources declare: the mechanism writes them for their domain. */
const DECLARED = new Map(
  globSync('shared/domains/**/*.ts', { cwd: ROOT }).flatMap((file) =>
    [...read(file).matchAll(/declareResource\(\{[^]*?table: '([a-z_.]+)'/g)].map(
      ([, table]) => [String(table), ownerOf(file)] as const,
    ),
  ),
);

function ownersOf(table: string): string[] {
  const declared = DECLARED.get(table);
  const otherwise = OTHERWISE_OWNED[table];
  return [
    ...new Set([
      ...users(table, inserts),
      ...(declared === undefined ? [] : [declared]),
      ...(otherwise === undefined ? [] : [otherwise]),
    ]),
  ];
}

it('finds tables and SQL', () => {
  expect(TABLES).toEqual(
    expect.arrayContaining(['tenants', 'storage_records', 'usage_records', 'ops.outbox']),
  );
  expect(ownersOf('mapper_requests')).toEqual(['domains/mapping']);
  expect(namesTable('select * from mapper_requests m', 'mapper_requests')).toBe(true);
  expect(namesTable('expires with the mapper_requests', 'mapper_requests')).toBe(false);
});

it.each(TABLES)('%s has one owner', (table) => {
  expect(ownersOf(table)).toHaveLength(1);
});

it.each(TABLES)('%s is named only by its owner’s SQL', (table) => {
  const [owner] = ownersOf(table);
  const foreign = TEXTS.filter(({ file, text }) => {
    const user = ownerOf(file);
    if (user === owner || !namesTable(text, table)) return false;
    return !(owner === 'platform' && user === `domains/${OPERATORS_DOMAIN}`);
  });
  expect(foreign.map(({ file, line }) => `${file}:${line}`)).toEqual([]);
});

it('every function of the databases has an owner', () => {
  expect(FUNCTIONS.toSorted()).toEqual(Object.keys(FUNCTION_OWNERS).toSorted());
});

const DOMAINS_FUNCTIONS = FUNCTIONS.filter((name) => FUNCTION_OWNERS[name] !== 'platform');

it.each(DOMAINS_FUNCTIONS)('%s is called only by its owner’s SQL', (name) => {
  const call = new RegExp(`\\b${name.replace('.', '\\.')}\\b`);
  const callers = TEXTS.filter(({ text }) => call.test(text));
  const foreign = callers.filter(({ file }) => ownerOf(file) !== FUNCTION_OWNERS[name]);
  expect(foreign.map(({ file, line }) => `${file}:${line}`)).toEqual([]);
});
