import { loadModule, parseSync } from 'libpg-query';

/**
 * Checks tenant statements with PostgreSQL's own parser. A statement sets the tenant in its first CTE, `scope`. Row security is
 * checked when a table is scanned, so a table with row security must not be scanned before `scope` has run. The planner keeps
 * that order in two cases: a lateral subquery that takes a value from `scope` and ends in `offset 0`, so that the planner does
 * not pull it up; and an insert that takes its rows from `scope`.
 */

type Node = Readonly<Record<string, unknown>>;

/** The facts at one place of a statement. */
interface Place {
  /** CTEs by name: whether their rows come from `scope`. */
  readonly ctes: Map<string, boolean>;
  /** The names of FROM items whose rows come from `scope`. */
  readonly scoped: Set<string>;
  /** Whether this place runs after `scope`. */
  readonly afterScope: boolean;
}

await loadModule();

/**
 * Finds the parts of a tenant statement that could run before the tenant is set. `guarded` are the tables with row security,
 * without the schema name if it is `public`.
 */
export function findUnscoped(text: string, guarded: ReadonlySet<string>): string[] {
  const statements = parseSync(text).stmts ?? [];
  const [only] = statements;
  if (statements.length !== 1 || only?.stmt === undefined) return ['is not one statement'];
  const [[kind, statement] = []] = [Object.entries(only.stmt)[0] as [string, Node] | undefined];
  if (statement === undefined || (kind !== 'SelectStmt' && kind !== 'InsertStmt'))
    return [`is a ${kind ?? 'nothing'}`];
  const [scope, ...ctes] = listOf((statement['withClause'] as Node | undefined)?.['ctes']);
  const first = scope === undefined ? undefined : cteOf(scope);
  if (first?.['ctename'] !== 'scope' || first['ctematerialized'] !== 'CTEMaterializeAlways')
    return ['does not begin with a materialized scope'];
  const faults: string[] = [];
  visit(first['ctequery'], { ctes: new Map(), scoped: new Set(), afterScope: false }, guarded, faults);
  // Only this CTE sets the tenant. A nested CTE with the same name does not.
  const place: Place = { ctes: new Map([['scope', true]]), scoped: new Set(), afterScope: false };
  visitStatement(kind, { ...statement, withClause: { ctes } }, place, guarded, faults);
  return faults;
}

function visitStatement(
  kind: string,
  statement: Node,
  outer: Place,
  guarded: ReadonlySet<string>,
  faults: string[],
): void {
  const place: Place = { ...outer, ctes: new Map(outer.ctes), scoped: new Set(outer.scoped) };
  for (const cte of ctesOf(statement)) {
    visit(cte['ctequery'], place, guarded, faults);
    addCte(cte, place);
  }
  if (kind === 'InsertStmt' && !takesFromScope(statement['selectStmt'], place))
    faults.push(`the insert into ${tableOf(statement['relation'] as Node)} takes no row from scope`);
  for (const item of listOf(statement['fromClause'])) visitFrom(item, place, guarded, faults);
  for (const [member, value] of Object.entries(statement)) {
    // An insert writes its table after its rows come, so after scope.
    if (
      member === 'withClause' ||
      member === 'fromClause' ||
      (kind === 'InsertStmt' && member === 'relation')
    )
      continue;
    visit(value, place, guarded, faults);
  }
}

/** Visits FROM items in their order: a later item may take values from an earlier one. */
function visitFrom(item: Node, place: Place, guarded: ReadonlySet<string>, faults: string[]): void {
  const [kind, node] = Object.entries(item)[0] as [string, Node];
  if (kind === 'JoinExpr') {
    visitFrom(node['larg'] as Node, place, guarded, faults);
    visitFrom(node['rarg'] as Node, place, guarded, faults);
    visit(node['quals'], place, guarded, faults);
    if (node['alias'] !== undefined) place.scoped.delete(aliasOf(node));
    return;
  }
  let isScoped = false;
  if (kind === 'RangeSubselect') {
    const { SelectStmt: select } = node['subquery'] as { SelectStmt: Node };
    isScoped =
      place.afterScope ||
      (node['lateral'] === true && 'limitOffset' in select && refersTo(select, place.scoped));
    visitStatement('SelectStmt', select, { ...place, afterScope: isScoped }, guarded, faults);
  } else {
    visit(item, place, guarded, faults);
    isScoped = kind === 'RangeVar' && isScopedCte(node, place);
  }
  // A name here hides the same name of an outer query.
  if (isScoped) place.scoped.add(aliasOf(node));
  else place.scoped.delete(aliasOf(node));
}

function visit(value: unknown, place: Place, guarded: ReadonlySet<string>, faults: string[]): void {
  if (Array.isArray(value)) {
    for (const member of value) visit(member, place, guarded, faults);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [kind, node] of Object.entries(value as Node)) {
    if (kind === 'RangeVar') {
      const table = tableOf(node as Node);
      if (!place.afterScope && !isCte(node as Node, place) && guarded.has(table))
        faults.push(
          `${table} is read outside a lateral subquery that takes a value from scope and ends in offset 0`,
        );
    } else if (kind === 'SelectStmt' || kind === 'InsertStmt')
      visitStatement(kind, node as Node, place, guarded, faults);
    else if (kind === 'UpdateStmt' || kind === 'DeleteStmt' || kind === 'MergeStmt')
      faults.push(`a ${kind} cannot be held back until the tenant is set`);
    else visit(node, place, guarded, faults);
  }
}

function addCte(cte: Node, place: Place): void {
  place.ctes.set(textOf(cte['ctename']), takesFromScope(cte['ctequery'], place));
}

/** Whether a FROM item of a query has rows from `scope`. Then all of the query's rows come after `scope`. */
function takesFromScope(query: unknown, outer: Place): boolean {
  const [kind, node] = (Object.entries((query ?? {}) as Node)[0] ?? []) as [string?, Node?];
  if (node === undefined || (kind !== 'SelectStmt' && kind !== 'InsertStmt')) return false;
  const place: Place = { ...outer, ctes: new Map(outer.ctes) };
  for (const cte of ctesOf(node)) addCte(cte, place);
  if (kind === 'InsertStmt') return takesFromScope(node['selectStmt'], place);
  if (node['larg'] !== undefined)
    return ['larg', 'rarg'].every((side) => takesFromScope({ SelectStmt: node[side] }, place));
  return listOf(node['fromClause']).some((item) => isFromScope(item, place));
}

function isFromScope(item: Node, place: Place): boolean {
  const [kind, node] = Object.entries(item)[0] as [string, Node];
  if (kind === 'JoinExpr') return isFromScope(node['larg'] as Node, place);
  if (kind === 'RangeVar') return isScopedCte(node, place);
  if (kind === 'RangeSubselect') return takesFromScope(node['subquery'], place);
  return false;
}

/** Whether a query takes a value from one of these FROM items, and not from its own item with the same name. */
function refersTo(value: unknown, names: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((member) => refersTo(member, names));
  if (typeof value !== 'object' || value === null) return false;
  const own = new Set(listOf((value as Node)['fromClause']).flatMap(aliasesOf));
  const visible = own.size === 0 ? names : new Set([...names].filter((name) => !own.has(name)));
  return Object.entries(value as Node).some(([kind, node]) => {
    if (kind !== 'ColumnRef') return refersTo(node, visible);
    const fields = listOf((node as Node)['fields']).map(
      (field) => (field['String'] as Node | undefined)?.['sval'],
    );
    return fields.length > 1 && visible.has(textOf(fields[0]));
  });
}

/** The names that a FROM item defines. */
function aliasesOf(item: Node): string[] {
  const [kind, node] = Object.entries(item)[0] as [string, Node];
  if (kind !== 'JoinExpr') return [aliasOf(node)];
  return [aliasOf(node), ...aliasesOf(node['larg'] as Node), ...aliasesOf(node['rarg'] as Node)];
}

function ctesOf(statement: Node): Node[] {
  return listOf((statement['withClause'] as Node | undefined)?.['ctes']).map(cteOf);
}

const cteOf = (node: Node): Node => node['CommonTableExpr'] as Node;

const listOf = (value: unknown): Node[] => (Array.isArray(value) ? (value as Node[]) : []);

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** A table's name as in `guarded`: without the schema `public`, which is optional in a statement. */
function tableOf(range: Node): string {
  const schema = textOf(range['schemaname']);
  const name = textOf(range['relname']);
  return schema === '' || schema === 'public' ? name : `${schema}.${name}`;
}

/** A name with a schema is never a CTE's. */
const isCte = (range: Node, place: Place): boolean =>
  textOf(range['schemaname']) === '' && place.ctes.has(textOf(range['relname']));

const isScopedCte = (range: Node, place: Place): boolean =>
  isCte(range, place) && place.ctes.get(textOf(range['relname'])) === true;

function aliasOf(node: Node): string {
  const alias = node['alias'] as Node | undefined;
  return textOf(alias?.['aliasname']) || textOf(node['relname']);
}
