import { loadModule, parseSync } from 'libpg-query';

/**
 * PostgreSQL's own parser says what a tenant's statement reads, and when. A statement sets the tenant in its first CTE,
 * `scope`; row security is judged where a table is scanned, so no table that has it may be scanned before `scope` has
 * run. The planner keeps that order where a table stands in a lateral subquery that takes a value from `scope`, and that
 * `offset 0` keeps it from pulling up; and where an insert takes its rows from it.
 */

type Node = Readonly<Record<string, unknown>>;

interface Reach {
  /** CTEs by name: whether their rows come from `scope`. */
  readonly ctes: Map<string, boolean>;
  /** What FROM items that have run after `scope` are called here. */
  readonly fed: Set<string>;
  /** Whether all of this runs after `scope`. */
  readonly fenced: boolean;
}

await loadModule();

/**
 * What of a tenant's statement could run before the tenant is set: nothing for a right one. `guarded`: the tables that
 * have row security.
 */
export function findUnfenced(text: string, guarded: ReadonlySet<string>): string[] {
  const statements = parseSync(text).stmts ?? [];
  const [only] = statements;
  if (statements.length !== 1 || only?.stmt === undefined) return ['is not one statement'];
  const [[kind, statement] = []] = [Object.entries(only.stmt)[0] as [string, Node] | undefined];
  if (statement === undefined || (kind !== 'SelectStmt' && kind !== 'InsertStmt'))
    return [`is a ${kind ?? 'nothing'}`];
  const first = ctesOf(statement)[0];
  if (first?.['ctename'] !== 'scope' || first['ctematerialized'] !== 'CTEMaterializeAlways')
    return ['does not begin with a materialized scope'];
  const faults: string[] = [];
  visitStatement(kind, statement, { ctes: new Map(), fed: new Set(), fenced: false }, guarded, faults);
  return faults;
}

function visitStatement(
  kind: string,
  statement: Node,
  outer: Reach,
  guarded: ReadonlySet<string>,
  faults: string[],
): void {
  const reach: Reach = { ctes: new Map(outer.ctes), fed: new Set(outer.fed), fenced: outer.fenced };
  for (const cte of ctesOf(statement)) {
    const name = textOf(cte['ctename']);
    visit(cte['ctequery'], reach, guarded, faults);
    reach.ctes.set(name, name === 'scope' || takesFromFed(cte['ctequery'], reach));
  }
  if (kind === 'InsertStmt' && !takesFromFed(statement['selectStmt'], reach))
    faults.push(`the insert into ${nameOf(statement['relation'] as Node)} takes no row from scope`);
  for (const item of listOf(statement['fromClause'])) visitFrom(item, reach, guarded, faults);
  for (const [member, value] of Object.entries(statement)) {
    // An insert's own table is written as its rows come, which is after scope.
    if (
      member === 'withClause' ||
      member === 'fromClause' ||
      (kind === 'InsertStmt' && member === 'relation')
    )
      continue;
    visit(value, reach, guarded, faults);
  }
}

/** Visits FROM items in their order: what stands later may take values from what stands before. */
function visitFrom(item: Node, reach: Reach, guarded: ReadonlySet<string>, faults: string[]): void {
  const [kind, node] = Object.entries(item)[0] as [string, Node];
  if (kind === 'JoinExpr') {
    visitFrom(node['larg'] as Node, reach, guarded, faults);
    visitFrom(node['rarg'] as Node, reach, guarded, faults);
    visit(node['quals'], reach, guarded, faults);
    return;
  }
  const alias = aliasOf(node);
  if (kind === 'RangeSubselect') {
    const { SelectStmt: select } = node['subquery'] as { SelectStmt: Node };
    const fenced =
      reach.fenced || (node['lateral'] === true && 'limitOffset' in select && refersTo(select, reach.fed));
    visitStatement('SelectStmt', select, { ...reach, fenced }, guarded, faults);
    if (fenced) reach.fed.add(alias);
    return;
  }
  visit(item, reach, guarded, faults);
  if (kind === 'RangeVar' && reach.ctes.get(nameOf(node)) === true) reach.fed.add(alias);
}

function visit(value: unknown, reach: Reach, guarded: ReadonlySet<string>, faults: string[]): void {
  if (Array.isArray(value)) {
    for (const member of value) visit(member, reach, guarded, faults);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [kind, node] of Object.entries(value as Node)) {
    if (kind === 'RangeVar') {
      const name = nameOf(node as Node);
      if (!reach.fenced && !reach.ctes.has(name) && guarded.has(name))
        faults.push(
          `${name} is read outside a lateral subquery that takes a value from scope and ends in offset 0`,
        );
    } else if (kind === 'SelectStmt' || kind === 'InsertStmt')
      visitStatement(kind, node as Node, reach, guarded, faults);
    else if (kind === 'UpdateStmt' || kind === 'DeleteStmt' || kind === 'MergeStmt')
      faults.push(`a ${kind} cannot be held back until the tenant is set`);
    else visit(node, reach, guarded, faults);
  }
}

/** Whether a query's rows come, in part, from a FROM item that has run after `scope`: then none comes before. */
function takesFromFed(query: unknown, reach: Reach): boolean {
  const [kind, node] = Object.entries((query ?? {}) as Node)[0] ?? [];
  if (kind === 'InsertStmt') return takesFromFed((node as Node)['selectStmt'], reach);
  if (kind !== 'SelectStmt') return false;
  const select = node as Node;
  if (select['larg'] !== undefined)
    return ['larg', 'rarg'].every((side) => takesFromFed({ SelectStmt: select[side] }, reach));
  return listOf(select['fromClause']).some((item) => isFed(item, reach));
}

function isFed(item: Node, reach: Reach): boolean {
  const [kind, node] = Object.entries(item)[0] as [string, Node];
  if (kind === 'JoinExpr') return isFed(node['larg'] as Node, reach);
  if (kind === 'RangeVar') return reach.ctes.get(nameOf(node)) === true;
  if (kind === 'RangeSubselect') return takesFromFed(node['subquery'], reach);
  return false;
}

function refersTo(value: unknown, names: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((member) => refersTo(member, names));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value as Node).some(([kind, node]) => {
    if (kind !== 'ColumnRef') return refersTo(node, names);
    const fields = listOf((node as Node)['fields']).map(
      (field) => (field['String'] as Node | undefined)?.['sval'],
    );
    return fields.length > 1 && names.has(textOf(fields[0]));
  });
}

function ctesOf(statement: Node): Node[] {
  const clause = statement['withClause'] as Node | undefined;
  return listOf(clause?.['ctes']).map((cte) => cte['CommonTableExpr'] as Node);
}

const listOf = (value: unknown): Node[] => (Array.isArray(value) ? (value as Node[]) : []);

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** A table as a statement names it; without a schema it is in `public`, or a CTE. */
function nameOf(range: Node): string {
  const schema = textOf(range['schemaname']);
  return schema === '' ? textOf(range['relname']) : `${schema}.${textOf(range['relname'])}`;
}

function aliasOf(node: Node): string {
  const alias = node['alias'] as Node | undefined;
  return textOf(alias?.['aliasname']) || textOf(node['relname']);
}
